/**
 * Makes the published package: `node tools/build.ts [folder]`, by default into `dist/`. Then: `npm pack ./dist`.
 *
 * The checkout's package.json points at the TypeScript source, which Node runs as it is, but not under node_modules; so the
 * package carries compiled JavaScript, declarations, and a package.json of its own, derived here and checked in nowhere.
 */
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { dirname, extname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { published, type Manifest } from './manifest.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const out = resolve(process.argv[2] ?? join(root, 'dist'))
/** Files beside the code that it reads at run time. Others do not ship, and stop the build when code mentions them. */
const assets = new Set(['.sql', '.html', '.css', '.svg'])
const development = /(?:\.(?:test|slow|fixture)\.ts$)|(?:(?:^|\/)fixtures\/)/
const specifier = /(\b(?:from|import)\s*\(?\s*)(['"])((?:#|\.{1,2}\/)[^'"\n]+)\.ts\2/g
const documents = ['README.md', 'LICENSE', 'CHANGELOG.md']

const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Manifest
const pack = published(manifest)

clear(out)
// First: it marks the folder as ours, also when a later step fails.
writeFileSync(join(out, 'package.json'), `${JSON.stringify(pack, null, 2)}\n`)
compile()
followPaths()
copyAssets()
for (const name of documents) copyFileSync(join(root, name), join(out, name))
check()

function fail(message: string): never {
  process.stderr.write(`build: ${message}\n`)
  process.exit(1)
}

/** Empties the target, unless it holds something that this script did not make. */
function clear(folder: string): void {
  const entries = existsSync(folder) ? readdirSync(folder) : []
  if (entries.length > 0 && !(entries.includes('package.json') && ownName(folder) === manifest.name)) {
    fail(`${folder} is not empty and not an earlier build`)
  }
  if (existsSync(join(folder, '.git')) || existsSync(join(folder, 'src'))) fail(`${folder} is a checkout`)
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
}

function ownName(folder: string): unknown {
  return (JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { name?: unknown }).name
}

function compile(): void {
  const tsc = join(root, 'node_modules/typescript/bin/tsc')
  const done = spawnSync(process.execPath, [tsc, '-p', join(root, 'tsconfig.build.json'), '--outDir', out], {
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  if (done.status !== 0) fail('the source does not compile')
}

/**
 * What the compiler leaves as it is: `#room/file.ts` becomes a relative path, so that the package needs no `imports` map
 * (which TypeScript's older resolution and some bundlers do not read), declarations name `.js` like the code, and so do the
 * paths by which workers and children are started: `new URL('./x.ts', import.meta.url)`.
 */
function followPaths(): void {
  for (const name of readdirSync(out, { recursive: true, encoding: 'utf8' })) {
    if (!/\.(?:js|d\.ts)$/.test(name)) continue
    const path = join(out, name)
    const relativeTo = (target: string): string => {
      const found = relative(dirname(path), join(out, target)).replaceAll('\\', '/')
      return found.startsWith('.') ? found : `./${found}`
    }
    const code = readFileSync(path, 'utf8')
    const followed = code
      .replaceAll(specifier, (_, before: string, quote: string, target: string) => {
        const file = target.startsWith('#') ? relativeTo(target.slice(1)) : target
        return `${before}${quote}${file}.js${quote}`
      })
      .replaceAll(/(new URL\(\s*(['"])\.[^'"]*)\.ts(\2,\s*import\.meta\.url)/g, '$1.js$3')
    if (followed !== code) writeFileSync(path, followed)
  }
}

function copyAssets(): void {
  const source = join(root, 'src')
  for (const entry of readdirSync(source, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const path = join(entry.parentPath, entry.name)
    const name = relative(source, path).replaceAll('\\', '/')
    if (extname(name) === '.ts' || development.test(name)) continue
    if (!assets.has(extname(name))) {
      if (mentioned(entry.name)) fail(`src/${name} is read by code, but its extension is not in the list of what ships`)
      continue
    }
    mkdirSync(dirname(join(out, name)), { recursive: true })
    copyFileSync(path, join(out, name))
  }
}

function mentioned(fileName: string): boolean {
  const built = readdirSync(out, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.js'))
  return built.some((name) => readFileSync(join(out, name), 'utf8').includes(fileName))
}

/** What the manifest promises is there, what is for development is not. */
function check(): void {
  for (const { types, default: file } of Object.values(pack.exports)) {
    for (const promised of [types, file])
      if (!existsSync(join(out, promised))) fail(`exports names ${promised}, absent`)
  }
  for (const [name, file] of Object.entries(pack.bin)) {
    const path = join(out, file)
    if (!existsSync(path)) fail(`bin ${name} names ${file}, absent`)
    if (!readFileSync(path, 'utf8').startsWith('#!/usr/bin/env node\n')) fail(`${file} has no #!/usr/bin/env node`)
    chmodSync(path, 0o755)
  }
  for (const entry of readdirSync(out, { recursive: true, encoding: 'utf8' })) {
    const name = entry.replaceAll('\\', '/').replace(/\.(?:d\.ts|js)$/, '.ts')
    if (development.test(name)) fail(`${entry} is for development and must not ship: is it imported by code?`)
  }
}

// Installs the dependencies when they are absent or other than the lock file says. Runs before `npm start` and `npm test`,
// under whatever Node the machine has: the project's own Node is one of the dependencies and comes first on the PATH of
// every npm script after this one. The second run takes milliseconds and needs no network.
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const stamp = `${root}node_modules/.fairlead-lock`
const own = `${root}node_modules/node/bin/node${process.platform === 'win32' ? '.exe' : ''}`
const lock = readFileSync(`${root}package-lock.json`, 'utf8')

if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== lock) {
  process.stderr.write('installing dependencies (npm ci) …\n')
  const status = npm('ci', '--no-audit', '--no-fund', '--loglevel=error')
  if (status !== 0) process.exit(status)
  writeFileSync(stamp, lock)
}
if (!existsSync(own) && !isNewEnough(process.versions.node)) {
  // Where npm is told to run no install scripts, the `node` package stays empty: run its script, and only that one.
  npm('rebuild', 'node', '--ignore-scripts=false', '--loglevel=error')
  if (!existsSync(own)) {
    process.stderr.write(
      `Node 24.6 or later is needed; this is ${process.version}, and the one in node_modules is absent.\n`,
    )
    process.exit(1)
  }
}

function npm(...args) {
  const [file, ...first] = process.env.npm_execpath ? [process.execPath, process.env.npm_execpath] : ['npm']
  const options = {
    cwd: root,
    stdio: ['ignore', 'ignore', 'inherit'],
    shell: file === 'npm' && process.platform === 'win32',
  }
  return spawnSync(file, [...first, ...args], options).status ?? 1
}

function isNewEnough(version) {
  const [major, minor] = version.split('.').map(Number)
  return major > 24 || (major === 24 && minor >= 6)
}

/**
 * `npm run bench -- <name> [--json]`: one bench, one process tree, medians. `--json` prints one line:
 * `{ "bench", "node", "versions", "figures": { name: number } }`. Figures are rates per second unless their name says
 * `_ms`, `_us`, `_ns` or `_mib`. Nothing is asserted here: machines are shared and noisy; read ratios and CPU first.
 */
import { readFileSync } from 'node:fs'
import process from 'node:process'

type Bench = { readonly run: () => Promise<Record<string, number>>; readonly about?: readonly string[] }

const benches: Readonly<Record<string, () => Promise<Bench>>> = {
  journal: () => import('./journal.ts'),
  webhook: () => import('./webhook.ts'),
  resilience: async () => {
    const [pipeline, call] = await Promise.all([import('./resilience.ts'), import('./call.ts')])
    return { run: async () => ({ ...(await pipeline.run()), ...(await call.run()) }) }
  },
  mapping: () => import('./mapping.ts'),
  footprint: () => import('./footprint.ts'),
}

const [name, ...flags] = process.argv.slice(2)
const load = name !== undefined && Object.hasOwn(benches, name) ? benches[name] : undefined
const unknown = flags.find((f) => f !== '--json')
if (load === undefined || unknown !== undefined) {
  const why = unknown === undefined ? '' : `unknown option ${unknown}\n`
  process.stderr.write(`${why}usage: npm run bench -- <${Object.keys(benches).join('|')}> [--json]\n`)
  process.exit(2)
}

const bench = await load()
const figures = Object.fromEntries(Object.entries(await bench.run()).map(([k, v]) => [k, Number(v.toPrecision(4))]))
const { dependencies, devDependencies } = JSON.parse(
  readFileSync(new URL('../package.json', import.meta.url), 'utf8'),
) as {
  dependencies: Record<string, string>
  devDependencies: Record<string, string>
}
const all = { ...dependencies, ...devDependencies }
const versions = {
  sqlite: process.versions['sqlite'],
  ...Object.fromEntries(['undici', 'cockatiel', 'opossum', 'zod'].map((p) => [p, all[p]])),
}
if (flags.includes('--json')) {
  process.stdout.write(`${JSON.stringify({ bench: name, node: process.version, versions, figures })}\n`)
} else {
  process.stdout.write(`${name} on node ${process.version}\n${(bench.about ?? []).map((l) => `  ${l}\n`).join('')}`)
  for (const [key, value] of Object.entries(figures))
    process.stdout.write(`  ${key.padEnd(22)} ${value.toLocaleString('en')}\n`)
}

/**
 * `npm run bench -- <name> [--json] [options]`: one bench, one process tree, medians. `--json` prints one line:
 * `{ "bench", "node", "versions", "load", "figures": { name: number } }`. Figures are rates per second unless their name says
 * `_ms`, `_us`, `_ns` or `_mib`. Nothing is asserted here: machines are shared and noisy; read ratios and CPU first. `load`
 * is the machine's load average (1 minute) before and after: the bench itself adds what it runs.
 */
import { readFileSync } from 'node:fs'
import { loadavg } from 'node:os'
import process from 'node:process'
import { parseArgs, type ParseArgsOptionsConfig } from 'node:util'

type Bench = {
  readonly run: (options: Readonly<Record<string, string>>) => Promise<Record<string, number>>
  readonly about?: readonly string[]
  /** Its own options with their defaults, all of them text. */
  readonly options?: Readonly<Record<string, string>>
}

const benches: Readonly<Record<string, () => Promise<Bench>>> = {
  journal: () => import('./journal.ts'),
  'journal-postgres': () => import('./journal-postgres.ts'),
  scale: () => import('./scale.ts'),
  soak: () => import('./soak.ts'),
  webhook: () => import('./webhook.ts'),
  resilience: async () => {
    const { run } = await import('./resilience.ts')
    return { run }
  },
  mapping: async () => {
    const { run } = await import('./mapping.ts')
    return { run: () => run() }
  },
  connections: () => import('./connections/main.ts'),
  fleet: () => import('./connections/fleet.ts'),
  intents: () => import('./intents.ts'),
  footprint: () => import('./footprint.ts'),
}

const packages = [
  'undici',
  'cockatiel',
  'opossum',
  'got',
  'axios',
  'ky',
  'zod',
  'pg',
  'pg-boss',
  'graphile-worker',
  'bullmq',
  'rabbitmq-client',
]

const [name = '', ...args] = process.argv.slice(2)
const load = Object.hasOwn(benches, name) ? benches[name] : undefined
if (load === undefined) usage()
const bench = await load()
const { json, ...options } = parsed(bench.options ?? {})

const before = loadavg()[0]!
const figures = Object.fromEntries(
  Object.entries(await bench.run(options)).map(([k, v]) => [k, Number(v.toPrecision(4))]),
)
const loads = [before, loadavg()[0]!].map((l) => Number(l.toFixed(1)))
const { dependencies, devDependencies } = JSON.parse(
  readFileSync(new URL('../package.json', import.meta.url), 'utf8'),
) as {
  dependencies: Record<string, string>
  devDependencies: Record<string, string>
}
const all = { ...dependencies, ...devDependencies }
const versions = { sqlite: process.versions['sqlite'], ...Object.fromEntries(packages.map((p) => [p, all[p]])) }
if (json) {
  process.stdout.write(`${JSON.stringify({ bench: name, node: process.version, versions, load: loads, figures })}\n`)
} else {
  process.stdout.write(`${name} on node ${process.version}, load ${loads.join(' to ')}\n`)
  for (const line of bench.about ?? []) process.stdout.write(`  ${line}\n`)
  for (const [key, value] of Object.entries(figures))
    process.stdout.write(`  ${key.padEnd(32)} ${value.toLocaleString('en')}\n`)
}

function parsed(own: Readonly<Record<string, string>>): { json: boolean } & Record<string, string> {
  const options: ParseArgsOptionsConfig = {
    json: { type: 'boolean', default: false },
    ...Object.fromEntries(Object.entries(own).map(([key, value]) => [key, { type: 'string', default: value }])),
  }
  try {
    return parseArgs({ args, options }).values as { json: boolean } & Record<string, string>
  } catch (e) {
    usage(e instanceof Error ? `${e.message}\n` : '', own)
  }
}

function usage(why = '', own: Readonly<Record<string, string>> = {}): never {
  const options = Object.entries(own).map(([key, value]) => ` [--${key} ${value}]`)
  process.stderr.write(
    `${why}usage: npm run bench -- <${Object.keys(benches).join('|')}> [--json]${options.join('')}\n`,
  )
  process.exit(2)
}

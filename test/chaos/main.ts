/**
 * `npm run chaos -- [scenario …]`: real processes under real faults, and the books afterwards. Prints one line a scenario;
 * exit 1 when an invariant broke, with what is needed to see it again. See docs/chaos.md.
 */
import process from 'node:process'
import { options } from './options.ts'
import { figures, lines } from './report.ts'
import type { Result } from './scenario.ts'
import { scenarios } from './scenarios/index.ts'
import { sqlitePlace } from './world/place.ts'

const help = `npm run chaos -- [scenario …] [options]

Runs engines in processes of their own under real faults, plays their client, and makes the books afterwards.
Without a scenario: all of them, a few minutes.

${scenarios.map((s) => `  ${s.name.padEnd(13)} ${s.about}`).join('\n')}

  --kills N      how often: kills, freezes, rounds of a fleet (each scenario has a small default)
  --every N      every N-th point of a sweep (1: all of them)
  --seed N       which moments and messages (default 1)
  --json         one JSON line a scenario
  --help         this text

Exit: 0 all invariants held, 1 one broke or (with CI set) a scenario could not run here, 2 wrong usage.
`

const asked = options(
  process.argv.slice(2),
  scenarios.map((s) => s.name),
)
if ('help' in asked || 'wrong' in asked) {
  if ('help' in asked) process.stdout.write(help)
  else process.stderr.write(`${asked.wrong}\nSee npm run chaos -- --help\n`)
  process.exit('help' in asked ? 0 : 2)
}

let failed = false
for (const scenario of scenarios.filter((s) => asked.scenarios.includes(s.name))) {
  const missing = scenario.lacking?.()
  if (missing !== undefined) {
    process.stderr.write(`NOT RUN ${scenario.name}: ${missing}\n`)
    failed ||= process.env['CI'] !== undefined
    continue
  }
  const began = performance.now()
  let result: Result
  try {
    result = await scenario.run({
      seed: asked.seed,
      kills: asked.kills ?? scenario.kills,
      every: asked.every ?? scenario.every,
      fresh: sqlitePlace,
      say: (text) => void process.stderr.write(`${text}\n`),
    })
  } catch (e) {
    const broken = [
      `${scenario.name} did not come to its end: ${e instanceof Error ? (e.stack ?? e.message) : String(e)}`,
    ]
    result = { injected: 0, acknowledged: 0, lost: 0, doubled: 0, broken }
  }
  failed ||= result.broken.length > 0
  const seconds = (performance.now() - began) / 1_000
  process.stdout.write(
    asked.json
      ? `${JSON.stringify({ scenario: scenario.name, seed: asked.seed, figures: figures(result), broken: result.broken, seconds: Math.round(seconds) })}\n`
      : lines(scenario.name, result, seconds),
  )
}
process.exitCode = failed ? 1 : 0

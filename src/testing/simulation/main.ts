/**
 * `npm run simulate`: see `usage` in options.ts, and docs/simulation.md. Exit codes: 0 everything held, 1 an invariant is broken
 * (or, with --planted, a mistake was not found), 2 the command line is wrong, 130 stopped by Ctrl-C.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { bugs } from './bugs.ts'
import type { Decisions } from './decisions.ts'
import { optionsOf, usage, type Options } from './options.ts'
import { plant } from './plant.ts'
import { hunt, table } from './planted.ts'

/** Seconds that are spent on making a failing list shorter. */
const shrinkFor = 60
/** Seconds after which a world is taken for one that never ends. */
const worldLimit = 120

const began = process.hrtime.bigint()
const seconds = (): number => Number(process.hrtime.bigint() - began) / 1e9
const say = (text: string): void => void process.stdout.write(`${text}\n`)
let stopped = false

const options = optionsOf(process.argv.slice(2))
process.exitCode = await main(options)

async function main(o: Options): Promise<number> {
  if (o.do === 'help') {
    say(usage.trimEnd())
    return 0
  }
  if (o.do === 'wrong') return wrong(o.why)
  if (o.do === 'planted') {
    const found = await hunt({ seeds: o.seeds, starts: o.starts, told: o.json ? () => {} : say })
    say(o.json ? JSON.stringify(found) : `\n${table(found)}`)
    return found.every((f) => f.found.length === o.starts) ? 0 : 1
  }
  const bug = bugs.find((b) => b.name === o.bug)
  if (o.bug !== undefined && !bug)
    return wrong(`there is no planted mistake "${o.bug}"; there are ${bugs.map((b) => b.name).join(', ')}`)
  const planted = bug === undefined ? () => {} : plant(bug)
  // Only now: a mistake is planted into the engine while it is loaded.
  const { explore, shortest } = await import('./explore.ts')
  const { simulate } = await import('./simulation.ts')
  const { figuresOf, story, summary } = await import('./report.ts')
  planted()

  if (o.do === 'seed' || o.do === 'replay') {
    const result = await simulate(o.do === 'seed' ? o.seed : listIn(o.file))
    const { broken, hash, seen, swarm, timeline } = result
    if (o.json) say(JSON.stringify({ broken, hash, seen, swarm, timeline }))
    else say(`${story(result, true)}\n\n${JSON.stringify(swarm)}\n${JSON.stringify(seen)}`)
    return broken.length > 0 ? 1 : 0
  }

  const watch = watchWorlds()
  process.once('SIGINT', () => (stopped = true))
  const until = o.minutes === undefined ? Number.POSITIVE_INFINITY : o.minutes * 60
  if (!o.json) say(`playing worlds from seed ${o.from} on, stored ones first; Ctrl-C ends after the current one`)
  const totals = await explore({
    ...o,
    seedsOnly: bug !== undefined,
    more: () => !stopped && seconds() < until,
    playing: watch.playing,
  })
  const figures = figuresOf(totals, seconds())
  const { failure } = totals
  if (failure === undefined) {
    watch.end()
    say(o.json ? JSON.stringify({ ...figures, stopped }) : `${stopped ? 'stopped: ' : ''}${summary(figures)}`)
    return stopped ? 130 : 0
  }
  if (o.json) {
    watch.end()
    say(JSON.stringify({ ...figures, failure: { world: failure.world, broken: failure.broken } }))
    return 1
  }
  say(`${summary(figures)}\n\nworld ${failure.world} breaks an invariant:`)
  for (const b of failure.broken.slice(0, 20)) say(`  ${b}`)
  const end = seconds() + shrinkFor
  const shrunk = await shortest(failure, () => !stopped && seconds() < end)
  watch.end()
  const file = join(tmpdir(), `fairlead-simulation-${o.bug === undefined ? '' : `${o.bug}-`}${failure.world}.json`)
  writeFileSync(file, `${JSON.stringify(shrunk.decisions)}\n`)
  const result = await simulate(shrunk.decisions)
  const planting = o.bug === undefined ? '' : ` --bug ${o.bug}`
  say(`\n${shrunk.minimal ? 'minimal' : `not minimal yet, ${shrinkFor} s were over`} after ${shrunk.runs} runs\n`)
  say(story(result, false))
  say(`\nagain: npm run simulate -- --replay ${file}${planting}`)
  if (/^\d+$/.test(failure.world)) say(`whole: npm run simulate -- --seed ${failure.world}${planting}`)
  return 1
}

function wrong(why: string): number {
  process.stderr.write(`${why}\n\n${usage}`)
  return 2
}

function listIn(file: string): Decisions {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Decisions
  } catch (e) {
    process.stderr.write(`${file} is not a list of decisions: ${(e as Error).message}\n`)
    process.exit(2)
  }
}

/** A world that waits for something that nobody will do leaves nothing to wait for: says which one it was. */
function watchWorlds(): { readonly playing: (world: string) => void; readonly end: () => void } {
  let world = ''
  let since = seconds()
  const timer = setInterval(() => {
    if (seconds() - since < worldLimit) return
    process.stderr.write(`world ${world} has not ended after ${worldLimit} s\n`)
    process.exit(1)
  }, 1_000)
  return {
    playing: (name) => {
      world = name
      since = seconds()
    },
    end: () => clearInterval(timer),
  }
}

import { simulate } from './simulation.ts'
const from = Number(process.env['FAIRLEAD_SEED'] ?? process.argv[2] ?? 1)
const n = process.env['FAIRLEAD_SEED'] ? 1 : Number(process.argv[3] ?? 100)
const t = performance.now()
let bad = 0,
  acc = 0,
  runs = 0
const kinds = new Map<string, number[]>()
for (let seed = from; seed < from + n; seed++) {
  let r
  const t1 = performance.now()
  try {
    r = await simulate(seed)
  } catch (e) {
    console.log(seed, 'CRASH', e)
    bad++
    continue
  }
  if (performance.now() - t1 > 3000) console.log('slow', seed, (performance.now() - t1) | 0, JSON.stringify(r.swarm))
  acc += r.seen.accepted
  runs += r.seen.runs
  if (r.broken.length > 0) {
    bad++
    for (const b of new Set(r.broken.map((b) => b.slice(0, 3)))) kinds.set(b, [...(kinds.get(b) ?? []), seed])
    if (process.argv[4] !== 'q') console.log(seed, r.broken.slice(0, 4))
    if (n === 1) {
      console.log(r.timeline.join('\n'))
      console.log(r.swarm)
      console.log(r.broken)
    }
  }
}
console.log(bad, 'of', n, 'broken;', ((performance.now() - t) / n).toFixed(1), 'ms a seed', acc / n, runs / n, kinds)

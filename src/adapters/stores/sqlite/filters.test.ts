import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { hash53 } from '#kernel/hash.ts'
import { bloomOf, Filters } from './filters.ts'

const hashes = (run: number, count: number): Float64Array =>
  Float64Array.from({ length: count }, (_, i) => hash53(`${run}/${i}`))

test('names every run that has a hash, of any size, and never one that is deleted', () => {
  const sizes = fc.array(fc.constantFrom(1, 40, 3_000, 32_768, 40_000), { minLength: 1, maxLength: 70 })
  fc.assert(
    fc.property(sizes, fc.infiniteStream(fc.boolean()), (sizes, deletes) => {
      const filters = new Filters<number>()
      const deleted = new Set<number>()
      sizes.forEach((size, run) => {
        filters.add(run, bloomOf(hashes(run, size)))
        // The newest one makes room for a larger one, or any one has become old.
        for (const gone of [run, Math.floor(run / 2)]) {
          if (deletes.next().value && !deleted.has(gone)) {
            filters.delete(gone)
            deleted.add(gone)
          }
        }
      })
      sizes.forEach((size, run) => {
        const found = filters.find(hashes(run, size)[size - 1]!)
        assert.equal(found.includes(run), !deleted.has(run), `run ${run} of ${sizes.join(' ')}`)
        assert.ok(found.every((r) => !deleted.has(r)))
      })
    }),
    { numRuns: 10 },
  )
})

test('names a run of 32,768 that does not have the hash six times in a million', () => {
  const filters = new Filters<number>()
  for (let run = 0; run < 40; run++) filters.add(run, bloomOf(hashes(run, 32_768)))

  let wrong = 0
  for (let i = 0; i < 50_000; i++) wrong += filters.find(hash53(`absent ${i}`)).length

  assert.ok(wrong > 0 && wrong < 40, `${wrong} of two million: 12 are expected`)
})

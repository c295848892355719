import assert from 'node:assert/strict'
import { test } from 'node:test'
import { optionsOf } from './options.ts'

test('reads what is asked for', () => {
  assert.deepEqual(optionsOf(['--seeds', '500', '--json']), {
    do: 'explore',
    from: 1,
    seeds: 500,
    minutes: undefined,
    json: true,
    bug: undefined,
  })
  assert.deepEqual(optionsOf(['--minutes', '0.5', '--from', '7']), {
    do: 'explore',
    from: 7,
    seeds: Number.POSITIVE_INFINITY,
    minutes: 0.5,
    json: false,
    bug: undefined,
  })
  assert.deepEqual(optionsOf(['--seed', '12']), { do: 'seed', seed: 12, json: false, bug: undefined })
  assert.deepEqual(optionsOf(['--replay', 'a.json', '--bug', 'x']), {
    do: 'replay',
    file: 'a.json',
    json: false,
    bug: 'x',
  })
  assert.deepEqual(optionsOf(['--planted']), { do: 'planted', seeds: 400, starts: 3, json: false })
  assert.deepEqual(optionsOf(['--help', '--seeds', 'x']), { do: 'help' })
})

const refused: readonly (readonly [args: string, why: RegExp])[] = [
  ['--speed 3', /--speed/],
  ['12', /12/],
  ['--seeds', /--seeds/],
  ['--seeds 0', /--seeds takes a whole number from 1 on, not "0"/],
  ['--seeds 1e3', /not "1e3"/],
  ['--from -1', /--from/],
  ['--minutes soon', /--minutes takes a number above 0/],
  ['--minutes 1 --seeds 2', /--minutes and --seeds do not go together/],
  ['--seed 1 --replay f', /--seed and --replay do not go together/],
  ['--seed 1 --seeds 2', /--seeds says nothing with --seed/],
  ['--starts 2', /--starts says nothing alone/],
  ['--planted --bug x', /--bug says nothing with --planted/],
]

for (const [args, why] of refused) {
  test(`refuses ${args}`, () => {
    const o = optionsOf(args.split(' '))
    assert.ok(o.do === 'wrong')
    assert.match(o.why, why)
  })
}

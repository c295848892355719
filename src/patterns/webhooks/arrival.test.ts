import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { isFault } from '#kernel/fault.ts'
import { packArrival, unpackArrival, type Arrival } from './arrival.ts'

describe('a packed arrival', () => {
  it('gives back every byte of any body, through JSON', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array(),
          fc.string({ unit: 'binary' }).map((s) => new TextEncoder().encode(s)),
        ),
        fc.string(),
        (body, id) => {
          const arrival: Arrival = { id, type: 't', time: 1, contentType: 'c', headers: { a: 'b' }, body }
          const back = unpackArrival(JSON.parse(JSON.stringify(packArrival(arrival))))
          assert.deepEqual({ ...back, body: [...back.body] }, { ...arrival, body: [...body] })
        },
      ),
    )
  })
  it('keeps a byte order mark, and reads a body that is a view into a larger buffer', () => {
    const whole = new Uint8Array([1, 0xef, 0xbb, 0xbf, 0x7b, 0x7d, 2])
    const arrival = { id: 'i', type: 't', time: 1, contentType: '', headers: {}, body: whole.subarray(1, 6) }
    assert.deepEqual([...unpackArrival(packArrival(arrival)).body], [0xef, 0xbb, 0xbf, 0x7b, 0x7d])
  })
  it('is not mistaken for anything else', () => {
    for (const strange of [null, undefined, 1, 'x', {}, { id: 'i', type: 't', time: 1, headers: {} }, { text: 'x' }]) {
      assert.throws(
        () => unpackArrival(strange),
        (e) => isFault(e, 'webhook.event'),
      )
    }
  })
})

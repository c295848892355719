import assert from 'node:assert/strict'
import { test } from 'node:test'
import { budget, halfCapacity, outage, toldToWait } from './outage.fixture.ts'

test('in a total outage eight processes stop within a second, send next to nothing, and are back within seconds of the probe without a herd', async () => {
  const f = await outage(5)
  assert.ok(f['outage_open_in_all_ms']! < 1_000, `open in all after ${f['outage_open_in_all_ms']} ms`)
  assert.ok(f['outage_amplification']! < 0.01, `${f['outage_sends']} sends`)
  // The open time has grown to 60 s: so long may nobody ask.
  assert.ok(f['recovery_ms']! <= 65_000, `back after ${f['recovery_ms']} ms`)
  assert.ok(f['recovery_after_probe_ms']! <= 3_000, `back ${f['recovery_after_probe_ms']} ms after the probe`)
  assert.ok(f['recovery_peak']! < 2, `${f['recovery_peak']} times the demand in one second`)
})

test('without a breaker the retry budget holds for all processes together', async () => {
  const { budget_amplification: times = Infinity } = await budget()
  // One in ten of the calls of any 10 s; a run that ends has a last 10 s of its own.
  assert.ok(times > 1.05 && times < 1.105, `${times} sends a call`)
})

test('an upstream that loses half its capacity under twice the load is spared, and recovers when the load is gone', async () => {
  const f = await halfCapacity()
  assert.ok(f['half_capacity_shed_percent']! > 50, `${f['half_capacity_shed_percent']} % were not sent`)
  assert.ok(f['half_capacity_recovery_ms']! < 60_000, `back after ${f['half_capacity_recovery_ms']} ms`)
})

test('what one process was told to wait the others have heard within a second', async () => {
  const f = await toldToWait()
  assert.equal(f['throttled_sends'], 0)
  assert.ok(f['throttled_heard_ms']! < 1_000, `the last one was sent after ${f['throttled_heard_ms']} ms`)
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { fault, isFault } from '#kernel/fault.ts'
import { settle, virtualClock, type VirtualClock } from '#testing/clock.ts'
import type { Random } from '#kernel/random.ts'
import { breaker } from './breaker.ts'
import { compose } from './compose.ts'
import { fallback } from './fallback.ts'
import type { Policy } from './policy.ts'
import { retry } from './retry.ts'
import { timeout } from './timeout.ts'

/**
 * The reference: each policy a function around the next, in written order, promises all the way, slow and plain. It
 * knows nothing of wheels, slots and shared call objects. Random lists of policies around random work must give the
 * same outcomes at the same times as the real pipeline.
 */
type Next = (scope: Scope) => Promise<unknown>
type Wrap = (next: Next) => Next

/** What is given up together. */
class Scope {
  readonly deadline: number
  ended = false
  readonly ends: ((working: boolean) => void)[] = []
  readonly parent: Scope | undefined
  working = 0
  constructor(deadline: number, parent?: Scope) {
    this.deadline = deadline
    this.parent = parent
    parent?.ends.push((working) => this.end(working))
  }
  end(working: boolean): void {
    if (this.ended) return
    this.ended = true
    for (const fn of this.ends) fn(working)
  }
  add(n: number): void {
    this.working += n
    this.parent?.add(n)
  }
}

/** No jitter. */
const steady: Random = { float: () => 0, bytes: (n) => new Uint8Array(n) }

const forever = (): Promise<never> => new Promise(() => {})

function wraps(clock: VirtualClock, policy: Spec): Wrap {
  switch (policy.kind) {
    case 'timeout':
      return (next) => (outer) => {
        const scope = new Scope(Math.min(outer.deadline, clock.mono() + policy.ms), outer)
        return new Promise((resolve, reject) => {
          const late = (): void => {
            if (scope.ended) return
            const working = scope.working > 0
            // What is inside is given up before what is outside is told.
            scope.end(working)
            scope.add(-scope.working)
            reject(fault(working || uncertain(outer) ? 'resilience.timeout' : 'resilience.deadline'))
          }
          const cancel = scope.deadline < outer.deadline ? clock.after(policy.ms, late) : () => {}
          scope.ends.push(cancel)
          next(scope).then(
            (v) => {
              cancel()
              resolve(v)
            },
            (e: unknown) => {
              cancel()
              reject(e)
            },
          )
        })
      }
    case 'retry':
      return (next) => async (scope) => {
        for (let n = 1; ; n++) {
          try {
            return await next(scope)
          } catch (e) {
            const delay = policy.ms * 2 ** (n - 1)
            const again = isFault(e) && (e.kind === 'transient' || e.kind === 'ambiguous')
            const wait = isFault(e) && e.retryAfter !== undefined ? Math.max(delay, e.retryAfter) : delay
            if (!again || n > policy.attempts || clock.mono() + wait >= scope.deadline) throw e
            await new Promise<void>((resolve) => scope.ends.push(clock.after(wait, resolve)))
            if (scope.ended) return forever()
          }
        }
      }
    case 'breaker': {
      let row = 0
      let openUntil = 0
      let state: 'closed' | 'open' | 'half' = 'closed'
      let opens = 0
      const fail = (): void => {
        if (state === 'half' || ++row >= policy.row) {
          opens++
          state = 'open'
          row = 0
          openUntil = clock.mono() + Math.min(policy.ms * 2, policy.ms * 2 ** (opens - 1))
        }
      }
      const forget = (): void => {
        if (state === 'half') openUntil = clock.mono()
      }
      const succeed = (): void => {
        row = 0
        if (state === 'half') opens = 0
        state = 'closed'
      }
      return (next) => async (scope) => {
        if (state !== 'closed' && clock.mono() < openUntil) {
          throw fault('resilience.breaker_open', { retryAfter: Math.ceil(openUntil - clock.mono()) })
        }
        if (state === 'open') state = 'half'
        let inside = true
        scope.ends.push((working) => {
          if (!inside) return
          inside = false
          if (working) fail()
          else forget()
        })
        try {
          const value = await next(scope)
          if (inside) succeed()
          return value
        } catch (e) {
          if (inside) {
            const code = isFault(e) ? e.code : ''
            if (code === 'resilience.breaker_open' || code === 'resilience.deadline') forget()
            else if (isFault(e) && e.kind === 'rejected') succeed()
            else fail()
          }
          throw e
        } finally {
          inside = false
        }
      }
    }
    default:
      return (next) => async (scope) => {
        try {
          return await next(scope)
        } catch (e) {
          return `instead of ${isFault(e) ? e.code : 'error'}`
        }
      }
  }
}

/** Whether an attempt of this run may have happened: kept on the outermost scope. */
const maybe = new WeakMap<Scope, boolean>()
const root = (scope: Scope): Scope => (scope.parent ? root(scope.parent) : scope)
const uncertain = (scope: Scope): boolean => maybe.get(root(scope)) === true

type Spec =
  | { readonly kind: 'timeout'; readonly ms: number }
  | { readonly kind: 'retry'; readonly attempts: number; readonly ms: number }
  | { readonly kind: 'breaker'; readonly row: number; readonly ms: number }
  | { readonly kind: 'fallback' }

type Step = { readonly ms: number; readonly how: 'ok' | 'unreachable' | 'cut' | 'rejected' | 'hangs' }

function policyOf(spec: Spec): Policy {
  switch (spec.kind) {
    case 'timeout':
      return timeout(`${spec.ms}ms`)
    case 'retry':
      return retry({ attempts: spec.attempts, first: `${spec.ms}ms`, jitter: 'none', budget: 'none' })
    case 'breaker': {
      const [openFor, maxOpen] = [`${spec.ms}ms`, `${spec.ms * 2}ms`] as const
      return breaker({ consecutive: spec.row, failures: 'off', rate: 'off', openFor, maxOpen })
    }
    default:
      return fallback((e) => `instead of ${isFault(e) ? e.code : 'error'}`)
  }
}

/** The work of one world: walks through the script, noting when it was started. */
function workOf(clock: VirtualClock, script: readonly Step[], log: string[]): () => Promise<string> {
  let n = 0
  return () => {
    const step = script[n++ % script.length]!
    const id = n
    log.push(`start ${id} at ${clock.mono()}`)
    const { how } = step
    if (how === 'hangs') return forever()
    return new Promise((resolve, reject) => {
      clock.after(step.ms, () => {
        if (how === 'ok') resolve(`value ${id}`)
        else reject(fault(`connection.${how}`))
      })
    })
  }
}

async function play(clock: VirtualClock, calls: readonly number[], call: () => Promise<unknown>, log: string[]) {
  for (const gap of calls) {
    await clock.advance(gap)
    const state = { open: true }
    call()
      .then(
        (v) => log.push(`${String(v)} at ${clock.mono()}`),
        (e: unknown) => log.push(`${isFault(e) ? e.code : String(e)} at ${clock.mono()}`),
      )
      .finally(() => (state.open = false))
    await settle()
    while (state.open && (await clock.step()));
    if (state.open) {
      log.push('hangs')
      return
    }
  }
}

async function reference(specs: readonly Spec[], calls: readonly number[], script: readonly Step[]): Promise<string[]> {
  const clock = virtualClock()
  const log: string[] = []
  const work = workOf(clock, script, log)
  const innermost: Next = async (scope) => {
    scope.add(1)
    try {
      return await work()
    } catch (e) {
      if (!scope.ended && isFault(e) && e.kind === 'ambiguous') maybe.set(root(scope), true)
      throw e
    } finally {
      if (!scope.ended) scope.add(-1)
    }
  }
  const whole = specs.map((s) => wraps(clock, s)).reduceRight<Next>((next, wrap) => wrap(next), innermost)
  await play(
    clock,
    calls,
    () => {
      const scope = new Scope(Infinity)
      scope.ends.push((working) => working && maybe.set(scope, true))
      return whole(scope)
    },
    log,
  )
  return log
}

async function real(specs: readonly Spec[], calls: readonly number[], script: readonly Step[]): Promise<string[]> {
  const clock = virtualClock()
  const log: string[] = []
  const p = compose({ clock, random: steady }, ...specs.map(policyOf))
  const work = workOf(clock, script, log)
  await play(clock, calls, () => p.run(work, { idempotent: true }), log)
  p.close()
  return log
}

test('written order is execution order: random pipelines do what functions around functions do', async () => {
  // Times end in different digits, so that no two things are due at the same instant: ties are not what is compared.
  const step = fc.record({
    ms: fc.integer({ min: 1, max: 30 }).map((n) => n * 10),
    how: fc.constantFrom<Step['how'][]>('ok', 'unreachable', 'cut', 'rejected', 'unreachable', 'hangs'),
  })
  const timed = fc.integer({ min: 1, max: 90 })
  const spec = fc.oneof(
    fc.record({
      kind: fc.constant('retry' as const),
      attempts: fc.integer({ min: 1, max: 3 }),
      ms: fc.constantFrom(20, 100, 400),
    }),
    fc.record({
      kind: fc.constant('breaker' as const),
      row: fc.integer({ min: 1, max: 3 }),
      ms: fc.constantFrom(200, 1_000, 3_000),
    }),
    fc.constant({ kind: 'fallback' as const }),
  )
  // An outer and an inner limit; work that hangs needs one.
  const specs = fc
    .tuple(
      fc.array(spec, { maxLength: 2 }),
      timed,
      fc.array(spec, { maxLength: 2 }),
      fc.option(timed),
      fc.array(spec, { maxLength: 1 }),
    )
    .map(([a, outer, b, inner, c]): Spec[] => [
      ...a,
      { kind: 'timeout', ms: outer * 20 + 7 },
      ...b,
      ...(inner === null ? [] : [{ kind: 'timeout' as const, ms: inner * 10 + 3 }]),
      ...c,
    ])
  const calls = fc.array(
    fc.integer({ min: 0, max: 40 }).map((n) => n * 100),
    { minLength: 1, maxLength: 8, size: 'max' },
  )
  const seen = new Set<string>()
  await fc.assert(
    fc.asyncProperty(
      specs,
      calls,
      fc.array(step, { minLength: 1, maxLength: 8, size: 'max' }),
      async (s, c, script) => {
        const expected = await reference(s, c, script)
        assert.deepEqual(await real(s, c, script), expected)
        for (const line of expected) seen.add(line.replace(/ (\d+ )?at .*| \d+.*/, ''))
      },
    ),
    { numRuns: 300 },
  )
  for (const what of ['value', 'resilience.timeout', 'resilience.breaker_open', 'connection.rejected']) {
    assert.ok(seen.has(what), `${what} was never reached: ${[...seen].join(', ')}`)
  }
})

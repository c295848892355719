/**
 * Fails a test that leaves something behind. Loaded by the test command before the tests:
 *
 *     node --import ./test/leaks.ts --test --test-isolation=none --test-force-exit <files>
 *
 * Looks for: what keeps the process alive (servers, sockets, timers, child processes, workers), files in the temporary
 * folder (TMPDIR is a fresh one for the run), open files there or in the checkout (a database that was not closed; Linux
 * only), signal listeners and environment variables. All tests share one process: each of these would reach the next one.
 * Timers that were unref'd are not seen.
 *
 * A test outside of any suite fails itself, after its own `t.after` hooks. What a suite leaves is reported when the run
 * ends, because its `after` hooks cannot be waited for; the run then exits with 1 although each test passed.
 * `--test-force-exit` belongs to it: what was left alive must not keep the run from ending.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readlinkSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, sep } from 'node:path'
import { after, afterEach, beforeEach, type TestContext } from 'node:test'

const temporary = mkdtempSync(join(realpathSync(tmpdir()), 'fairlead-test-'))
process.env['TMPDIR'] = temporary
process.once('exit', () => rmSync(temporary, { recursive: true, force: true }))

/** Milliseconds that closing may take after a test has ended; spent only when something is still open. */
const grace = Number(process.env['FAIRLEAD_TEST_GRACE'] ?? 2_000)

/** Made by programs of others that tests start, for their next start. */
const caches = new Set(['node-compile-cache'])

type Counts = ReadonlyMap<string, number>
/** What was there when the last test outside of a suite, or the last suite, had ended. */
let before = look()
let suite: string | undefined
const leftBySuites: string[] = []

beforeEach(async (t) => {
  const own = suiteOf(t)
  if (suite !== undefined && suite !== own) await endSuite(suite)
  suite = own
})

afterEach((t) => {
  // The hook is appended behind those of the test: they have closed what they close when it runs.
  if (suiteOf(t) === undefined) testContext(t).after(async () => assert.equal(await leftovers(), '', 'left behind'))
})

after(async () => {
  if (suite !== undefined) await endSuite(suite)
  if (leftBySuites.length === 0) return
  // A failing hook of the whole run is printed by the runner, but does not count.
  process.exitCode = 1
  assert.fail(`left behind\n${leftBySuites.join('\n')}`)
})

async function endSuite(name: string): Promise<void> {
  suite = undefined
  const left = await leftovers()
  if (left !== '') leftBySuites.push(`by "${name}":\n${left}`)
}

/** Name of the outermost suite or test around this one, undefined when there is none. */
function suiteOf(t: TestContext | { readonly name: string }): string | undefined {
  const { fullName, name } = testContext(t)
  return fullName === name ? undefined : fullName.split(' > ')[0]
}

/** Hooks of single tests are given a TestContext; the declaration also allows for the hooks of suites. */
function testContext(t: object): TestContext {
  return t as TestContext
}

/** What is there now and was not at the last look, a line each. Closing takes a few turns of the loop: waits for them. */
async function leftovers(): Promise<string> {
  const end = performance.now() + grace
  while (surplus(alive()).length > 0 && performance.now() < end) {
    await new Promise<void>((resolve) => setImmediate(resolve))
  }
  const now = look()
  const left = surplus(now)
  before = now
  suite = undefined
  return left.join('\n')
}

function surplus(now: Counts): string[] {
  return [...now].flatMap(([kind, n]) =>
    n > (before.get(kind) ?? 0) ? [`${n - (before.get(kind) ?? 0)} × ${kind}`] : [],
  )
}

/** What keeps the process alive. An Immediate is the loop turning, not a leftover. */
function alive(): Map<string, number> {
  const counts = new Map<string, number>()
  for (const kind of process.getActiveResourcesInfo()) {
    if (kind !== 'Immediate') counts.set(kind, (counts.get(kind) ?? 0) + 1)
  }
  return counts
}

function look(): Counts {
  const counts = alive()
  const add = (kind: string): unknown => counts.set(kind, (counts.get(kind) ?? 0) + 1)
  for (const entry of readdirSync(temporary)) if (!caches.has(entry)) add(`temporary file ${entry}`)
  for (const path of openFiles()) add(`open file ${path}`)
  for (const name of process.eventNames()) {
    if (typeof name === 'string' && name.startsWith('SIG'))
      counts.set(`listener of ${name}`, process.listenerCount(name))
  }
  for (const name of Object.keys(process.env)) add(`environment variable ${name}`)
  return counts
}

/** Regular files that this process holds open, in the temporary folder or the checkout. Empty where /proc is absent. */
function openFiles(): string[] {
  if (process.platform !== 'linux') return []
  const folders = [temporary, process.cwd()].map((folder) => folder + sep)
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      const path = readlinkSync(`/proc/self/fd/${fd}`)
      return folders.some((folder) => path.startsWith(folder)) && !path.includes(`${sep}node_modules${sep}`)
        ? [path]
        : []
    } catch {
      return [] // the descriptor of the listing itself, closed by now
    }
  })
}

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { start, temporaryFolder, write } from '../child.fixture.ts'

const config = (name: string): string => `
  import { topic } from 'fairlead'
  console.log('loaded ${name}')
  export const use = [[topic('${name}')]]
  export const listen = { port: 0 }
`

test('runs anew at a change, shows what is broken and waits, and ends everything at Ctrl-C', async (t) => {
  const cwd = temporaryFolder(t, { 'fairlead.config.ts': config('first') })
  const dev = start(t, ['dev'], { cwd })
  await dev.line('loaded first')
  await dev.line('listens on http://127.0.0.1:')

  const broken = dev.nextLine('waiting for a change')
  write(cwd, { 'fairlead.config.ts': `${config('second')}const x: = 1\n` })
  assert.match(await broken, /ended with code 2/)
  assert.match(await dev.line('error: '), /fairlead\.config\.ts:6: Unexpected token/)

  const listens = dev.nextLine('listens on')
  write(cwd, { 'fairlead.config.ts': config('third') })
  await dev.line('loaded third')
  await listens

  dev.signal('SIGINT')
  const ended = await dev.ended
  assert.equal(ended.code, 0)
  assert.doesNotMatch(ended.out, /loaded second/)
})

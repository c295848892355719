import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { test } from 'node:test'
import { commandNames, run } from './program.ts'
import { fakeTerminal } from './terminal.fixture.ts'

const page = fileURLToPath(new URL('../../docs/cli.md', import.meta.url))

/** The part of docs/cli.md that is made of `--help`: `node --test --test-update-snapshots src/cli/reference.test.ts` */
test('the reference of commands is what their help says', async (t) => {
  const written = readFileSync(page, 'utf8')
  const end = written.indexOf('-->', written.indexOf('## Commands')) + '-->'.length
  const sections: string[] = []
  for (const name of commandNames) {
    const terminal = fakeTerminal()
    await run([name, '--help'], terminal)
    sections.push(`### ${name}\n\n\`\`\`text\n${terminal.lines.join('\n').trim()}\n\`\`\``)
  }
  const whole = `${written.slice(0, end)}\n\n${sections.join('\n\n')}\n`
  t.assert.fileSnapshot(whole, page, { serializers: [String] })
})

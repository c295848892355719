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
    const help = await helpOf(name)
    sections.push(section(name, help))
    const [, own = ''] = help.split('\nCommands:\n')
    for (const [, sub] of own.matchAll(/^ {2}(\w[\w-]*)/gm))
      if (sub !== 'help') sections.push(section(`${name} ${sub}`, await helpOf(name, sub!)))
  }
  const whole = `${written.slice(0, end)}\n\n${sections.join('\n\n')}\n`
  t.assert.fileSnapshot(whole, page, { serializers: [String] })
})

async function helpOf(...command: readonly string[]): Promise<string> {
  const terminal = fakeTerminal()
  await run([...command, '--help'], terminal)
  return terminal.lines.join('\n').trim()
}

function section(title: string, help: string): string {
  return `### ${title}\n\n\`\`\`text\n${help}\n\`\`\``
}

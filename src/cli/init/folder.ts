/** The files around the code of a new project. */

export function manifest(name: string, version: string): string {
  const content = {
    name,
    version: '0.1.0',
    private: true,
    type: 'module',
    scripts: {
      api: 'node api.mjs',
      dev: 'fairlead dev',
      send: 'node send.mjs',
      check: 'fairlead check',
      start: 'fairlead start',
    },
    dependencies: { fairlead: `^${version}`, zod: '^4.0.0' },
    engines: { node: '>=24.6' },
  }
  return `${JSON.stringify(content, null, 2)}\n`
}

export const config = `/** What \`fairlead dev\`, \`start\` and all other commands load from this folder. Paths are relative to it. */
import type { Options } from 'fairlead'
import { sqlite } from 'fairlead/sqlite'
import * as orders from './orders.ts'

export const use = [orders] satisfies Options['use']
export const store = sqlite('./data/fairlead.db')
export const listen = { port: 8080 }
`

export const tsconfig = `{
  "compilerOptions": {
    "target": "es2024",
    "module": "nodenext",
    "strict": true,
    "noUncheckedIndexedAccess": true,
    "erasableSyntaxOnly": true,
    "verbatimModuleSyntax": true,
    "allowImportingTsExtensions": true,
    "skipLibCheck": true,
    "noEmit": true
  },
  "include": ["*.ts"]
}
`

export function environment(secret: string): string {
  return `# Read by fairlead and send.mjs; variables that are set already win. Not for version control.
SHOP_HOOK_SECRET=${secret}
`
}

export const ignored = `node_modules/
.env
`

export const data = `*
!.gitignore
`

export function readme(name: string): string {
  return `# ${name}

A shop sends orders by webhook, each is reserved in a warehouse. \`npm install\`, then in three terminals:

\`\`\`sh
npm run api    # the warehouse, a stand-in on port 4010
npm run dev    # the integration on port 8080; restarts when you save a file
npm run send   # one signed order; \`npm run send -- 100\` sends a hundred
\`\`\`

Now stop the warehouse and send more: orders are accepted all the same, wait, and are reserved when it is back.

| File                 | What it is                                                       |
| -------------------- | ---------------------------------------------------------------- |
| \`orders.ts\`          | the integration: webhook, topic, subscription, connection        |
| \`fairlead.config.ts\` | what to run, where it is stored, where it listens                |
| \`.env\`               | the secret that the shop signs with; not for version control     |
| \`data/\`              | the store: one SQLite file                                       |
| \`api.mjs\`            | the stand-in; set WAREHOUSE_URL for a real one                   |
| \`send.mjs\`           | signs and sends as the shop would                                |

\`\`\`sh
npx fairlead check          # are all definitions right?
npx fairlead status         # topics, subscriptions, calls
npx fairlead dead           # what waits for a person, and why
npx fairlead calls          # what was sent, what came back
npx fairlead explain <code> # what a fault code means
npx fairlead start          # for production: no watching, drains on SIGTERM
\`\`\`
`
}

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isEdit } from './watch.ts'

test('source of the project is an edit; what the app writes and what others installed is not', () => {
  const written = ['/shop/data/store.json']
  for (const file of ['orders.ts', 'lib/a.mjs', 'map.yaml', 'package.json', '.env', 'app/.env', 'q.sql']) {
    assert.equal(isEdit(file, '/shop', written), true, file)
  }
  for (const file of [
    'node_modules/zod/index.js',
    'packages/a/node_modules/b/c.ts',
    '.git/config.json',
    '.cache/x.json',
    'data/fairlead.db',
    'data/fairlead.db-wal',
    'data/store.json',
    'data/store.json-wal.json',
    'orders.ts~',
    '.orders.ts.swp',
    'app.log',
    'export.csv',
  ]) {
    assert.equal(isEdit(file, '/shop', written), false, file)
  }
})

/** Makes calls until its day is over, and says one byte for each that was admitted. `node quota-worker.ts FILE LIMIT` */
import { writeSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { createSqliteLimitStore } from '@mcp-gateway/policy/stores/sqlite'

const [file = '', limit = ''] = process.argv.slice(2)
const database = new DatabaseSync(file)
database.exec('pragma journal_mode=wal; pragma synchronous=full')
const store = createSqliteLimitStore({ open: () => database })
while ((await store.count({ key: 'acme', limit: Number(limit) })).allowed) writeSync(1, '.')

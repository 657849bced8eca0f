// Appends and exports as fast as it can, until it is killed. Arguments: the database, the file.
import { createFollower } from '@mcp-gateway/audit-chain'
import { createJsonlSink } from '@mcp-gateway/audit-chain/sinks/jsonl'
import { append, never, ORIGIN } from './exports.ts'
import { open } from './sqlite.ts'

const [, , database = '', path = ''] = process.argv
await using opened = open(database, ORIGIN)
const { write } = createJsonlSink({ path })
const follower = createFollower({ store: opened.store, origin: ORIGIN, name: 'export', maxBatch: 7, handle: write })
for (let i = 0; ; i += 1) {
  await append(opened.store, 5)
  await follower.catchUp(never)
  if (i === 0) console.log('begun')
}

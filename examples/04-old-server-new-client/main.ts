// proxy.ts at work: a modern client is asked by a server that never heard of its revision.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { createProxy } from './proxy.ts'

await using proxy = await createProxy(process.execPath, [join(import.meta.dirname, 'old-server.mjs')])
await once(proxy.server.listen(0, '127.0.0.1'), 'listening')
const { port } = proxy.server.address() as AddressInfo

const client = new Client(
  { name: 'example', version: '1.0.0' },
  { capabilities: { elicitation: { form: {} } }, versionNegotiation: { mode: 'auto' } },
)
let asked = ''
client.setRequestHandler('elicitation/create', ({ params }) => {
  asked = params.message
  return { action: 'accept', content: { people: 4 } }
})
await client.connect(new StreamableHTTPClientTransport(new URL(`http://127.0.0.1:${port}/`)))
assert.equal(client.getProtocolEra(), 'modern')
const { content } = await client.callTool({ name: 'book', arguments: { at: '19:00' } })
assert.equal(asked, 'For how many?')
assert.deepEqual(content, [{ type: 'text', text: 'A table for 4 at 19:00' }])
console.log(`a modern client was asked by a legacy server: ${asked}`)
await client.close()

// proxy.ts at work: a client of each era calls the same server through it.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { createProxy } from './proxy.ts'

await using proxy = createProxy(process.execPath, [join(import.meta.dirname, 'greeter.ts')])
await once(proxy.server.listen(0, '127.0.0.1'), 'listening')
const { port } = proxy.server.address() as AddressInfo

for (const mode of ['legacy', 'auto'] as const) {
  const client = new Client({ name: 'example', version: '1.0.0' }, { versionNegotiation: { mode } })
  await client.connect(new StreamableHTTPClientTransport(new URL(`http://127.0.0.1:${port}/`)))
  const { content } = await client.callTool({ name: 'greet', arguments: { name: mode } })
  assert.deepEqual(content, [{ type: 'text', text: `Hello, ${mode}` }])
  assert.equal(client.getProtocolEra(), mode === 'legacy' ? 'legacy' : 'modern')
  console.log(`a ${client.getProtocolEra()} client was greeted`)
  await client.close()
}

// @mcp-gateway/auth in a server that has nothing to do with MCP: headers in, a Caller or a coded refusal out.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { AuthError, createApiKeys, createAuthenticator, generateApiKey } from '@mcp-gateway/auth'

// Done once, by whoever hands out keys: the key goes to the caller, only its hash is kept.
const alice = generateApiKey()
const bob = generateApiKey()
const keys = createApiKeys({
  keys: [
    { id: 'key-1', key: alice.hash, name: "Alice's laptop", consumerId: 'alice', roles: ['reader'] },
    { id: 'key-2', key: bob.hash, name: 'old deployment', consumerId: 'bob', roles: [], expiresAt: Date.now() - 1 },
  ],
})
const authenticator = createAuthenticator({ schemes: [keys] })

async function handle({ method = 'GET', url, headers }: IncomingMessage, response: ServerResponse): Promise<void> {
  try {
    const caller = await authenticator.authenticate({
      method,
      url: new URL(url ?? '/', 'http://localhost').href,
      headers,
    })
    response.end(`Hello ${caller.id}, you may: ${caller.roles.join(', ')}`)
  } catch (error) {
    if (!(error instanceof AuthError)) throw error
    response.writeHead(401, { 'www-authenticate': 'Bearer' }).end(error.code)
  }
}

await using server = createServer((request, response) => void handle(request, response)).listen(0, '127.0.0.1')
await once(server, 'listening')
const { port } = server.address() as AddressInfo

const answers = [
  await ask({ authorization: `Bearer ${alice.key}` }),
  await ask({ 'x-api-key': alice.key }),
  await ask({}),
  await ask({ authorization: `Bearer ${bob.key}` }),
  await ask({ authorization: `Bearer ${alice.key}`, 'x-api-key': bob.key }),
]
console.log(answers.join('\n'))
assert.deepEqual(answers, [
  '200 Hello alice, you may: reader',
  '200 Hello alice, you may: reader',
  '401 AUTH_CREDENTIALS_MISSING',
  '401 AUTH_KEY_EXPIRED',
  '401 AUTH_AMBIGUOUS_CREDENTIALS',
])

async function ask(headers: Record<string, string>): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${port}/`, { headers: { ...headers, connection: 'close' } })
  return `${response.status} ${await response.text()}`
}

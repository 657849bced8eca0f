// Requests of the library that speaks the January text, over real HTTP: a server that reads its body once and hands the
// bytes on, as the gateway does.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import {
  AuthError,
  createAccountVerifier,
  createAuthenticator,
  createErc8128,
  createWallets,
  SignatureError,
  type AuthRequest,
} from '@mcp-gateway/auth'
import { createMemoryReplayStore } from '@mcp-gateway/auth/stores/memory'
import { createSignerClient, type SignOptions } from '@slicekit/erc8128'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { sign, signer } from './support/sign.ts'

let server: Server
let origin = ''

beforeAll(async () => {
  const { authenticate } = createAuthenticator({
    schemes: [
      createErc8128({
        wallets: createWallets({ operators: [{ address: signer.address, consumerId: 'ops', name: 'Ops', roles: [] }] }),
        accounts: createAccountVerifier({ chains: [{ id: 8453 }, { id: 1 }] }),
        replay: createMemoryReplayStore(),
      }),
    ],
  })
  const answer = async (incoming: IncomingMessage, response: ServerResponse): Promise<void> => {
    try {
      const { id, keyId } = await authenticate(toRequest(incoming))
      response.end(JSON.stringify({ id, keyId }))
    } catch (error) {
      if (error instanceof SignatureError && error.wwwAuthenticate !== undefined) {
        response.setHeader('www-authenticate', error.wwwAuthenticate)
      }
      response.statusCode = error instanceof AuthError ? 401 : 500
      response.end(error instanceof SignatureError ? error.reason : String(error))
    }
  }
  server = createServer((incoming, response) => void answer(incoming, response))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterAll(() => server.close())

function toRequest(incoming: IncomingMessage): AuthRequest {
  const body = buffer(incoming)
  return {
    method: incoming.method ?? '',
    url: `${origin}${incoming.url}`,
    headers: incoming.headers,
    body: async () => body,
  }
}

const client = createSignerClient({
  address: signer.address,
  chainId: 8453,
  signMessage: async (message) => signer.signMessage({ message: { raw: message } }),
})
const json = { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"n":1}' }

describe('@slicekit/erc8128 0.2.0', () => {
  test.each<[string, string, RequestInit]>([
    ['POST with a query', '/mcp?a=1&b=%20x', json],
    ['POST', '/mcp', json],
    ['GET', '/mcp', {}],
    ['GET of the root', '', {}],
    ['DELETE', '/mcp/server/x', { method: 'DELETE' }],
    ['POST of bytes', '/mcp', { method: 'POST', body: Uint8Array.of(0, 255, 10, 13) }],
  ])('%s is let in', async (_, path, init) => {
    const response = await client.fetch(`${origin}${path}`, init)
    expect([response.status, await response.json()]).toEqual([
      200,
      { id: 'ops', keyId: `eip155:8453:${signer.address.toLowerCase()}` },
    ])
  })

  test('the same request again is refused', async () => {
    const signed = await client.signRequest(`${origin}/mcp`, json)
    const again = signed.clone()
    expect((await fetch(signed)).status).toBe(200)
    const response = await fetch(again)
    expect([response.status, await response.text(), response.headers.get('www-authenticate')]).toEqual([
      401,
      'nonce_reused',
      'ERC8128 error="nonce_reused"',
    ])
  })

  test('of ten at once, one passes', async () => {
    const signed = await client.signRequest(`${origin}/mcp`, json)
    const requests = Array.from({ length: 10 }, () => signed.clone())
    const statuses = await Promise.all(requests.map(async (request) => (await fetch(request)).status))
    expect(statuses.filter((status) => status === 200)).toHaveLength(1)
    expect(statuses.filter((status) => status === 401)).toHaveLength(9)
  })

  test.each<[string, string, RequestInit, SignOptions, string]>([
    ['another body', '/mcp', { ...json, body: '{"n":2}' }, {}, 'bad_content_digest'],
    ['another path', '/admin', json, {}, 'bad_signature'],
    ['another method', '/mcp', { ...json, method: 'PUT' }, {}, 'bad_signature'],
    ['one that can be replayed', '/mcp', json, { replay: 'replayable' }, 'nonce_required'],
    [
      'one for a class of requests',
      '/mcp',
      json,
      { binding: 'class-bound', components: ['@authority'] },
      'content_digest_required',
    ],
    ['an hour', '/mcp', json, { ttlSeconds: 3600 }, 'request_validity_too_long'],
  ])('%s is refused', async (_, path, init, options, reason) => {
    const { headers } = await client.signRequest(`${origin}/mcp`, json, options)
    const response = await fetch(`${origin}${path}`, { ...init, headers })
    expect([response.status, await response.text()]).toEqual([401, reason])
  })
})

test('the August text over HTTP', async () => {
  const created = Math.floor(Date.now() / 1000)
  const { headers, bytes } = await sign({ url: `${origin}/mcp?x=1`, created })
  const response = await fetch(`${origin}/mcp?x=1`, { method: 'POST', headers, body: Buffer.from(bytes) })
  expect(response.status).toBe(200)
})

/** The whole way of a wallet: challenge, signature, session, wallet token; and what is left of it when operators have to sign. */
import {
  createAccountVerifier,
  createAuthenticator,
  createErc8128,
  createSessionTokens,
  createWalletLogin,
  createWallets,
  createWalletTokens,
  enforceOperatorSignatures,
  type Authenticator,
} from '@mcp-gateway/auth'
import { authentication, type AuthEnv } from '@mcp-gateway/auth/hono'
import { createMemoryReplayStore, createMemoryWalletTokenStore } from '@mcp-gateway/auth/stores/memory'
import { createSignerClient } from '@slicekit/erc8128'
import { Hono } from 'hono'
import { describe, expect, test } from 'vitest'
import { signer } from './support/sign.ts'

const origin = 'https://gateway.example'
const wallets = createWallets({
  operators: [{ address: signer.address, consumerId: 'ops', name: 'Ops', roles: ['operator'] }],
})
const accounts = createAccountVerifier({ chains: [{ id: 1 }] })
const replay = createMemoryReplayStore()
const secret = new Uint8Array(32).fill(3)
const login = createWalletLogin({ wallets, accounts, replay, secret, domain: 'gateway.example', uri: `${origin}/mcp` })
const sessions = createSessionTokens({
  secrets: [new Uint8Array(32).fill(4)],
  issuer: origin,
  audience: `${origin}/mcp`,
})
const tokens = createWalletTokens({ store: createMemoryWalletTokenStore(), wallets })
const signed = createErc8128({ wallets, accounts, replay })

const open = createAuthenticator({ schemes: [signed, tokens.scheme, sessions.scheme] })
const bearers = [tokens.scheme, sessions.scheme].map((scheme) => enforceOperatorSignatures({ scheme, wallets }))
const enforcing = createAuthenticator({ schemes: [signed, ...bearers] })

const client = createSignerClient({
  address: signer.address,
  chainId: 1,
  signMessage: async (message) => signer.signMessage({ message: { raw: message } }),
})

const app = (authenticator: Authenticator): Hono<AuthEnv> => {
  const app = new Hono<AuthEnv>()
  app.use('/mcp', authentication({ authenticator, origin }))
  app.post('/mcp', async (context) => {
    const { id, scheme } = context.get('caller')
    return context.json({ id, scheme, body: await context.req.text() })
  })
  return app
}
const post = async (authenticator: Authenticator, request: Request): Promise<[number, unknown, string | null]> => {
  const response = await app(authenticator).fetch(request)
  return [response.status, await response.json(), response.headers.get('www-authenticate')]
}
const withBearer = (token: string): Request =>
  new Request(`${origin}/mcp`, { method: 'POST', body: '{}', headers: { authorization: `Bearer ${token}` } })

describe('an operator', () => {
  const signIn = async () => {
    const { message } = login.challenge({ address: signer.address, chainId: 1 })
    return sessions.issue(await login.verify({ message, signature: await signer.signMessage({ message }) }))
  }

  test('signs in once, is known by the session, and makes a wallet token with it', async () => {
    const { token } = await signIn()
    expect(await post(open, withBearer(token))).toEqual([200, { id: 'ops', scheme: 'session', body: '{}' }, null])
    const caller = await open.authenticate({
      method: 'POST',
      url: `${origin}/mcp`,
      headers: { authorization: `Bearer ${token}` },
    })
    const made = await tokens.create(caller, { name: 'Laptop', lifetimeMs: 1e9 })
    expect(await post(open, withBearer(made.token))).toEqual([
      200,
      { id: 'ops', scheme: 'wallet-token', body: '{}' },
      null,
    ])
  })

  test('is refused with either of them where operators have to sign, and told so', async () => {
    const { token } = await signIn()
    const refused = [
      401,
      { error: { code: 'AUTH_SIGNATURE_REQUIRED', message: expect.any(String) as string } },
      'ERC8128',
    ]
    expect(await post(enforcing, withBearer(token))).toEqual(refused)
    const caller = await open.authenticate({
      method: 'POST',
      url: `${origin}/mcp`,
      headers: { authorization: `Bearer ${token}` },
    })
    const made = await tokens.create(caller, { name: 'Laptop', lifetimeMs: 1e9 })
    expect(await post(enforcing, withBearer(made.token))).toEqual(refused)
  })

  test('signs its requests, whose bodies are still there for the handler', async () => {
    const request = await client.signRequest(`${origin}/mcp`, { method: 'POST', body: '{"n":1}' })
    expect(await post(enforcing, request.clone())).toEqual([
      200,
      { id: 'ops', scheme: 'erc8128', body: '{"n":1}' },
      null,
    ])
    expect(await post(enforcing, request)).toEqual([
      401,
      { error: { code: 'AUTH_SIGNATURE_REFUSED', message: expect.stringContaining('nonce_reused') as string } },
      'ERC8128 error="nonce_reused"',
    ])
  })

  test('is not let in by a good session beside a bad signature', async () => {
    const { token } = await signIn()
    const request = await client.signRequest(`${origin}/mcp`, { method: 'POST', body: '{"n":1}' })
    const headers = new Headers(request.headers)
    headers.set('authorization', `Bearer ${token}`)
    expect(await post(open, new Request(request.url, { method: 'POST', headers, body: '{"n":2}' }))).toEqual([
      401,
      { error: { code: 'AUTH_SIGNATURE_REFUSED', message: expect.stringContaining('bad_content_digest') as string } },
      'ERC8128 error="bad_content_digest"',
    ])
  })
})

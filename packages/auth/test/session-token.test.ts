import { createHmac } from 'node:crypto'
import { createSessionTokens, type AuthRequest, type SessionTokensOptions } from '@mcp-gateway/auth'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

const now = Date.parse('2026-11-21T12:00:00.900Z')
const one = 'one'.padEnd(32, '1')
const two = 'two'.padEnd(32, '2')
const subject = {
  id: 'eip155:1:0xabc',
  name: 'Alice',
  tenantId: 'acme',
  roles: ['reader'],
  attributes: { address: '0xabc' },
}

const open = (changes: Partial<SessionTokensOptions> = {}): ReturnType<typeof createSessionTokens> =>
  createSessionTokens({
    secrets: [one],
    issuer: 'https://gw.example',
    audience: 'https://gw.example/mcp',
    clock: () => now,
    newId: () => 'id-1',
    ...changes,
  })
const bearer = (token: string): AuthRequest => ({
  method: 'POST',
  url: 'https://gw.example/mcp',
  headers: { authorization: `Bearer ${token}` },
})
const ask = async (token: string, changes: Partial<SessionTokensOptions> = {}): Promise<unknown> => {
  try {
    return await open(changes).scheme.authenticate(bearer(token))
  } catch (error) {
    return (error as { code?: string }).code ?? error
  }
}
const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')

describe('session tokens', () => {
  test('who was given one is known by it for a day', async () => {
    const { token, id, expiresAt } = await open().issue(subject)
    expect({ id, expiresAt }).toEqual({ id: 'id-1', expiresAt: Date.parse('2026-11-22T12:00:00Z') })
    const caller = await ask(token)
    expect(caller).toEqual({ ...subject, keyId: 'id-1', expiresAt, scheme: 'session' })
    expect(Object.isFrozen(caller)).toBe(true)
    expect(await ask(token, { clock: () => expiresAt - 1000 })).toMatchObject({ id: subject.id })
    expect(await ask(token, { clock: () => expiresAt })).toBe('AUTH_TOKEN_EXPIRED')
  })

  test('scopes and the end of what it was got with are kept', async () => {
    const { token, expiresAt } = await open().issue({ ...subject, scopes: [], expiresAt: now + 5000 })
    expect(expiresAt).toBe(now - 900 + 5000)
    expect(await ask(token)).toMatchObject({ scopes: [], expiresAt })
  })

  test('two tokens have two ids', async () => {
    const { issue } = createSessionTokens({ secrets: [one], issuer: 'i', audience: 'a' })
    expect((await issue(subject)).id).not.toBe((await issue(subject)).id)
  })

  test('secrets rotate: the first signs, all verify, and a removed one no longer does', async () => {
    const { token: old } = await open({ secrets: [one] }).issue(subject)
    const { token } = await open({ secrets: [two, one] }).issue(subject)
    expect(await ask(old, { secrets: [two, one] })).toMatchObject({ id: subject.id })
    expect(await ask(token, { secrets: [two] })).toMatchObject({ id: subject.id })
    expect(await ask(old, { secrets: [two] })).toBe('AUTH_TOKEN_INVALID')
  })

  test('a revoked one is refused, and so is every one while that cannot be told', async () => {
    const { token } = await open().issue(subject)
    expect(await ask(token, { isRevoked: (id) => id === 'id-1' })).toBe('AUTH_TOKEN_REVOKED')
    expect(await ask(token, { isRevoked: () => Promise.resolve(false) })).toMatchObject({ id: subject.id })
    expect(await ask(token, { isRevoked: () => Promise.reject(new Error('down')) })).toBe('AUTH_REVOCATION_UNAVAILABLE')
  })

  test('one of another gateway is not ours, or not for us', async () => {
    const { token } = await open({ issuer: 'https://other.example' }).issue(subject)
    expect(await ask(token)).toBeUndefined()
    const { token: second } = await open({ audience: 'https://gw.example/other' }).issue(subject)
    expect(await ask(second)).toBe('AUTH_TOKEN_AUDIENCE')
  })

  test('another type, algorithm, or extension under the same secret is refused', async () => {
    const { token } = await open().issue(subject)
    const [header = '', claims = '', signature = ''] = token.split('.')
    const said = JSON.parse(Buffer.from(header, 'base64url').toString()) as Record<string, unknown>
    for (const changes of [
      { typ: 'JWT' },
      { typ: undefined },
      { alg: 'none' },
      { alg: 'HS512' },
      { crit: ['x'] },
      { kid: 1 },
    ]) {
      const start = `${encode({ ...said, ...changes })}.${claims}`
      const forged = createHmac('sha256', one).update(start).digest('base64url')
      expect(await ask(`${start}.${forged}`)).toBe('AUTH_TOKEN_INVALID')
    }
    expect(await ask(`${encode({ ...said, alg: 'none' })}.${claims}.`)).toBe('AUTH_TOKEN_INVALID')
    expect(await ask(`${header}.${claims}.${signature}`)).toMatchObject({ id: subject.id })
  })

  test('one changed character of a token ≡ refused', async () => {
    const { token } = await open().issue(subject)
    const at = fc.oneof(fc.nat(token.length - 1), fc.constant(token.length - 1))
    await fc.assert(
      fc.asyncProperty(at, fc.stringMatching(/^[A-Za-z0-9._-]$/), async (index, character) => {
        fc.pre(token[index] !== character)
        const answer = await ask(token.slice(0, index) + character + token.slice(index + 1))
        expect([undefined, 'AUTH_TOKEN_INVALID']).toContain(answer)
      }),
      { numRuns: 500 },
    )
  })

  test.each<[string, Partial<SessionTokensOptions>, RegExp]>([
    ['no secret', { secrets: [] }, /no secret/],
    ['a short secret', { secrets: ['hunter2'.padEnd(31, '!')] }, /31 bytes/],
    ['a short old secret', { secrets: [one, new Uint8Array(16)] }, /16 bytes/],
    ['no time at all', { ttlMs: 0 }, /ttlMs/],
  ])('refuses %s, and does not repeat it', (_, changes, message) => {
    expect(() => open(changes)).toThrow(message)
    expect(() => open(changes)).toThrow(expect.objectContaining({ message: expect.not.stringContaining('hunter2') }))
  })
})

import {
  AuthError,
  createApiKeys,
  createAuthenticator,
  generateApiKey,
  hashApiKey,
  type ApiKey,
  type AuthRequest,
  type Caller,
  type RequestHeaders,
} from '@mcp-gateway/auth'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

const first = generateApiKey((size) => new Uint8Array(size).fill(1))
const second = generateApiKey((size) => new Uint8Array(size).fill(2))

const entry = (changes: Partial<ApiKey>): ApiKey => ({
  id: 'key-1',
  key: first.hash,
  name: 'My Agent',
  consumerId: 'agent-1',
  roles: ['reader', 'writer'],
  ...changes,
})

const request = (headers: RequestHeaders): AuthRequest => ({ method: 'POST', url: 'http://gateway.test/mcp', headers })

const ask = (keys: readonly ApiKey[], key: string | undefined, now = 1000): unknown => {
  const authenticator = createAuthenticator({ schemes: [createApiKeys({ keys, clock: () => now })] })
  try {
    return authenticator.authenticate(request({ 'x-api-key': key }))
  } catch (error) {
    if (!(error instanceof AuthError)) throw error
    return error.code
  }
}

const caller: Caller = {
  id: 'agent-1',
  name: 'My Agent',
  keyId: 'key-1',
  tenantId: 'default',
  roles: ['reader', 'writer'],
  attributes: {},
  scheme: 'api-key',
}

describe('authenticate', () => {
  test('knows the holder of a hashed key', () => {
    expect(ask([entry({})], first.key)).toEqual(caller)
  })

  test('knows the holder of a plain key', () => {
    expect(ask([entry({ key: first.key })], first.key)).toEqual(caller)
  })

  test('the stored hash is not itself a key', () => {
    expect(ask([entry({})], first.hash.slice('sha256:'.length))).toBe('AUTH_KEY_UNKNOWN')
    expect(ask([entry({})], hashApiKey(first.hash))).not.toEqual(caller)
  })

  test('tells the holders of two keys apart', () => {
    const keys = [entry({}), entry({ id: 'key-2', key: second.key, consumerId: 'agent-2' })]
    expect(ask(keys, first.key)).toMatchObject({ id: 'agent-1', keyId: 'key-1' })
    expect(ask(keys, second.key)).toMatchObject({ id: 'agent-2', keyId: 'key-2' })
  })

  test.each<[string, Partial<ApiKey>, string | undefined, number, string]>([
    ['no key', {}, undefined, 0, 'AUTH_CREDENTIALS_MISSING'],
    ['an unknown key', {}, second.key, 0, 'AUTH_KEY_UNKNOWN'],
    ['a disabled key', { enabled: false }, first.key, 0, 'AUTH_KEY_DISABLED'],
    ['a disabled and expired key', { enabled: false, expiresAt: 1 }, first.key, 5, 'AUTH_KEY_DISABLED'],
    ['a key at the moment it expires', { expiresAt: 5 }, first.key, 5, 'AUTH_KEY_EXPIRED'],
    ['a key that expired in 1970', { expiresAt: 0 }, first.key, 5, 'AUTH_KEY_EXPIRED'],
    ['an unknown key beside a disabled one', { enabled: false }, second.key, 0, 'AUTH_KEY_UNKNOWN'],
  ])('refuses %s', (_, changes, key, now, code) => {
    expect(ask([entry(changes)], key, now)).toBe(code)
  })

  test('lets a key in until the millisecond before it expires', () => {
    expect(ask([entry({ expiresAt: 5 })], first.key, 4)).toEqual(caller)
  })

  test('looks at the clock on every call', () => {
    let now = 4
    const { authenticate } = createApiKeys({ keys: [entry({ expiresAt: 5 })], clock: () => now })
    const credentials = request({ authorization: `Bearer ${first.key}` })
    expect(authenticate(credentials)).toEqual(caller)
    now = 5
    expect(() => authenticate(credentials)).toThrow(AuthError)
  })

  test('gives the same frozen Caller each time', () => {
    const { authenticate } = createApiKeys({ keys: [entry({})] })
    const credentials = request({ authorization: `Bearer ${first.key}` })
    const one = authenticate(credentials)
    expect(authenticate(credentials)).toBe(one)
    expect(Object.isFrozen(one) && Object.isFrozen((one as Caller).roles)).toBe(true)
  })

  test('digests that share their look-up prefix stay apart', () => {
    const neighbour = `${first.hash.slice(0, 'sha256:'.length + 8)}${'0'.repeat(56)}`
    const keys = [
      entry({ id: 'before', key: neighbour }),
      entry({}),
      entry({ id: 'after', key: neighbour.replace(/0$/, '1') }),
    ]
    expect(ask(keys, first.key)).toMatchObject({ keyId: 'key-1' })
    expect(ask([entry({ key: neighbour })], first.key)).toBe('AUTH_KEY_UNKNOWN')
  })

  test('later changes to the given list change nothing', () => {
    const roles = ['reader']
    const { authenticate } = createApiKeys({ keys: [entry({ roles })] })
    roles.push('admin')
    expect(authenticate(request({ 'x-api-key': first.key }))).toMatchObject({ roles: ['reader'] })
  })

  test('no message repeats the key', () => {
    const { authenticate } = createApiKeys({ keys: [entry({ enabled: false })] })
    for (const key of [first.key, second.key]) {
      expect(() => authenticate(request({ 'x-api-key': key }))).toThrow(
        expect.objectContaining({ message: expect.not.stringContaining(key.slice(3)) }),
      )
    }
  })

  test('authenticate(kᵢ) ≡ callerᵢ, and any other text is unknown', () => {
    const seeds = fc.uniqueArray(fc.uint8Array({ minLength: 32, maxLength: 32 }), {
      minLength: 1,
      maxLength: 20,
      selector: (bytes) => Buffer.from(bytes).toString('hex'),
    })
    fc.assert(
      fc.property(seeds, fc.stringMatching(/^[A-Za-z0-9_-]{1,60}$/), (all, stranger) => {
        const made = all.map((bytes) => generateApiKey(() => bytes))
        const keys = made.map(({ key, hash }, i) => entry({ id: `k${i}`, key: i % 2 === 0 ? key : hash }))
        for (const [i, { key }] of made.entries()) expect(ask(keys, key)).toMatchObject({ keyId: `k${i}` })
        expect(ask(keys, stranger)).toBe('AUTH_KEY_UNKNOWN')
      }),
    )
  })

  test('a key with any one character changed is unknown', () => {
    fc.assert(
      fc.property(fc.nat(first.key.length - 1), fc.stringMatching(/^[A-Za-z0-9_-]$/), (at, character) => {
        fc.pre(first.key[at] !== character)
        const changed = first.key.slice(0, at) + character + first.key.slice(at + 1)
        expect(ask([entry({})], changed)).toBe('AUTH_KEY_UNKNOWN')
      }),
    )
  })
})

describe('rotation', () => {
  const rotating = entry({ key: second.hash, previous: { key: first.hash, expiresAt: 100 } })

  test('during the overlap both keys are the same caller, and after it only the new one', () => {
    expect(ask([rotating], first.key, 99)).toEqual(caller)
    expect(ask([rotating], second.key, 99)).toEqual(caller)
    expect(ask([rotating], first.key, 100)).toBe('AUTH_KEY_EXPIRED')
    expect(ask([rotating], second.key, 100)).toEqual(caller)
  })

  test('a disabled or expired key takes the one before it along', () => {
    expect(ask([{ ...rotating, enabled: false }], first.key, 1)).toBe('AUTH_KEY_DISABLED')
    expect(ask([{ ...rotating, expiresAt: 5 }], first.key, 5)).toBe('AUTH_KEY_EXPIRED')
  })

  test('the key before may not be the key, another one, or without end', () => {
    const previous = { key: second.hash, expiresAt: 100 }
    expect(() => createApiKeys({ keys: [entry({ key: second.hash, previous })] })).toThrow(/the same secret/)
    expect(() => createApiKeys({ keys: [rotating, entry({ id: 'key-2' })] })).toThrow(/the same secret/)
    expect(() => createApiKeys({ keys: [entry({ previous: { ...previous, expiresAt: Infinity } })] })).toThrow(
      /expiresAt/,
    )
  })
})

describe('onUse', () => {
  test('is told at most once a minute for each key, and only of those let in', () => {
    let now = 0
    const used: unknown[] = []
    const keys = [entry({}), entry({ id: 'key-2', key: second.key, enabled: false })]
    const { authenticate } = createApiKeys({ keys, clock: () => now, onUse: (...use) => used.push(use) })
    for (now = 0; now <= 120_000; now += 10_000) {
      expect(authenticate(request({ 'x-api-key': first.key }))).toEqual(caller)
      expect(() => authenticate(request({ 'x-api-key': second.key }))).toThrow(AuthError)
    }
    expect(used).toEqual([0, 60_000, 120_000].map((at) => ['key-1', at]))
  })

  test('a note that cannot be taken locks nobody out', () => {
    const onUse = (): never => {
      throw new Error('disk full')
    }
    expect(createApiKeys({ keys: [entry({})], onUse }).authenticate(request({ 'x-api-key': first.key }))).toEqual(
      caller,
    )
  })
})

describe('createApiKeys', () => {
  test.each<[string, readonly ApiKey[], RegExp]>([
    ['two keys with one id', [entry({}), entry({ key: second.hash })], /two keys have the id "key-1"/],
    ['one hash twice', [entry({}), entry({ id: 'key-2' })], /"key-1" and "key-2" are the same secret/],
    ['a key and its hash', [entry({}), entry({ id: 'key-2', key: first.key })], /the same secret/],
    ['an unknown form', [entry({ key: 'secret' })], /neither/],
    ['an empty key', [entry({ key: 'gw_' })], /neither/],
    ['a short hash', [entry({ key: 'sha256:ab' })], /neither/],
    ['a hash in capitals', [entry({ key: first.hash.toUpperCase() })], /neither/],
    ['a date nobody could read', [entry({ expiresAt: Number.NaN })], /no readable expiresAt/],
  ])('refuses %s', (_, keys, message) => {
    expect(() => createApiKeys({ keys })).toThrow(TypeError)
    expect(() => createApiKeys({ keys })).toThrow(message)
  })

  test('the refusal does not repeat the secret', () => {
    expect(() => createApiKeys({ keys: [entry({ key: 'hunter2-secret' })] })).toThrow(
      expect.objectContaining({ message: expect.not.stringContaining('hunter2') }),
    )
  })

  test('without keys nobody gets in', () => {
    expect(ask([], first.key)).toBe('AUTH_KEY_UNKNOWN')
  })
})

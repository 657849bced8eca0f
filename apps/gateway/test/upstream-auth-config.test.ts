// What a configuration may say of tokens for servers, and what it is told when that can't be right.
import { generateKeyPairSync } from 'node:crypto'
import { parseConfig } from '@mcp-gateway/gateway'
import { describe, expect, it } from 'vitest'

const SECRET = 'secret-of-the-client'
const EC_KEY = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' })

describe('auth of a server', () => {
  const oidc = [{ issuer: 'https://idp.example' }]
  const good = {
    type: 'client-credentials',
    tokenEndpoint: 'https://idp.example/token',
    clientId: 'gw',
    clientSecret: SECRET,
  }
  const problemOf = (auth: object, more: object = {}, issuers: object[] = oidc) => {
    const servers = [{ id: 'crm', url: 'https://crm.example/mcp', auth: { ...good, ...auth }, ...more }]
    const file = { publicUrl: 'https://gw.example', auth: { oidc: issuers }, servers }
    try {
      parseConfig(JSON.stringify(file), { env: { KEY: 'KEY-CANARY' } })
      return undefined
    } catch (error) {
      expect(String(error)).not.toContain(SECRET)
      expect(String(error)).not.toContain('KEY-CANARY')
      return String(error)
    }
  }
  const key = { clientSecret: undefined, privateKey: '${KEY}', algorithm: 'ES256' }

  it('what is right is taken', () => {
    expect(problemOf({})).toBeUndefined()
    expect(problemOf({ ...key, privateKey: EC_KEY })).toBeUndefined()
    expect(problemOf({ resource: 'urn:crm' })).toBeUndefined()
    expect(problemOf({ tokenEndpoint: undefined })).toBeUndefined()
    expect(
      problemOf({ type: 'token-exchange', tokenEndpoint: undefined, issuer: 'https://idp.example' }),
    ).toBeUndefined()
    expect(
      problemOf({ type: 'token-exchange', clientSecret: undefined, tokenEndpointAuthMethod: 'none' }),
    ).toBeUndefined()
    expect(problemOf({ tokenEndpoint: 'http://127.0.0.1:9/token' }, { url: 'http://localhost:9/mcp' })).toBeUndefined()
  })

  it.for<[string, object, object?, object[]?]>([
    ['besides the header "authorization"', {}, { headers: { Authorization: 'Bearer x' } }],
    ['belongs to a server with "url"', {}, { url: undefined, command: 'x' }],
    ['use Streamable HTTP', {}, { transport: 'sse' }],
    ['needs a `url` with https', {}, { url: 'http://crm.example/mcp' }],
    ['the token endpoint must be https', { tokenEndpoint: 'http://idp.example/token' }],
    ['the issuer must be https', { tokenEndpoint: undefined, issuer: 'http://idp.example' }],
    ['has credentials in it', { tokenEndpoint: 'https://u:p@idp.example/token' }],
    ['is not for the server to say', { type: 'token-exchange', tokenEndpoint: undefined }],
    ['there are none', { type: 'token-exchange' }, {}, []],
    ['has neither clientSecret nor privateKey', { clientSecret: undefined }],
    ['take a client that has some', { tokenEndpointAuthMethod: 'none' }],
    ['needs privateKey and algorithm', { ...key, algorithm: undefined }],
    ['is not a PEM private key', key],
    ['is not a key for RS256', { ...key, privateKey: EC_KEY, algorithm: 'RS256' }],
    ['is not a scope', { scopes: ['a b'] }],
    ['must be a URI without a fragment', { resource: 'https://crm.example/#x' }],
    ['must be a URI without a fragment', { resource: 'crm' }],
    ['did you mean "clientSecret"', { clientSecrett: 'x' }],
  ])('%s', ([message, auth, more, issuers]) => {
    expect(problemOf(auth, more, issuers)).toContain(message)
  })
})

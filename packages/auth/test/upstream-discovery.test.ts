// Where a server's tokens are given out, as the server and its authorization server say it; and what is not believed of them.
import { discoverTokenEndpoint, type Fetch, type TokenEndpointDiscoveryOptions } from '@mcp-gateway/auth'
import { describe, expect, it, test } from 'vitest'

const SERVER = 'https://crm.example/mcp'
const PRM = 'https://crm.example/.well-known/oauth-protected-resource'
const AS = 'https://idp.example/.well-known/oauth-authorization-server'
const OIDC = 'https://idp.example/.well-known/openid-configuration'
const resource = { resource: 'https://crm.example/mcp', authorization_servers: ['https://idp.example'] }
const metadata = { issuer: 'https://idp.example', token_endpoint: 'https://idp.example/token' }

const refusal = (url: string) =>
  new Response(null, {
    status: 401,
    headers: { 'www-authenticate': `Basic realm="x", Bearer error="invalid_token", resource_metadata="${url}"` },
  })

/** The pages there are; all others are 404. */
function at(pages: Readonly<Record<string, unknown>>, options: Partial<TokenEndpointDiscoveryOptions> = {}) {
  const asked: string[] = []
  const fetch: Fetch = async (url, { redirect }) => {
    expect(redirect).toBe('manual')
    asked.push(url)
    const page = pages[url]
    if (typeof page === 'function') return (page as () => Response)()
    return page === undefined ? new Response(null, { status: 404 }) : Response.json(page)
  }
  const find = discoverTokenEndpoint({ server: 'https://crm.example/mcp', fetch, ...options })
  return { asked, find }
}
const found = { url: 'https://idp.example/token', issuer: 'https://idp.example' }

describe('is found', () => {
  it.for<[string, Readonly<Record<string, unknown>>, string[]]>([
    ['by the path of the server', { [`${PRM}/mcp`]: resource, [AS]: metadata }, [`${PRM}/mcp`, AS]],
    ['by the server’s root', { [PRM]: resource, [AS]: metadata }, [`${PRM}/mcp`, PRM, AS]],
    ['where one document is for all paths', { [PRM]: { ...resource, resource: 'https://crm.example' }, [AS]: metadata }, [`${PRM}/mcp`, PRM, AS]], // prettier-ignore
    [
      'where the server’s refusal says',
      { [SERVER]: () => refusal(`${PRM}-elsewhere`), [`${PRM}-elsewhere`]: resource, [AS]: metadata },
      [`${PRM}/mcp`, PRM, SERVER, `${PRM}-elsewhere`, AS],
    ],
    ['at an OpenID provider', { [`${PRM}/mcp`]: resource, [OIDC]: metadata }, [`${PRM}/mcp`, AS, OIDC]],
  ])('%s', async ([, pages, path]) => {
    const { asked, find } = at(pages)
    expect(await find()).toMatchObject(found)
    expect(asked).toEqual(path)
  })

  test('by the issuer’s name, and then the server is not asked', async () => {
    const { asked, find } = at({ [AS]: metadata }, { issuer: 'https://idp.example' })
    expect(await find()).toMatchObject(found)
    expect(asked).toEqual([AS])
  })

  test('once, until it is old', async () => {
    let now = 0
    const { asked, find } = at({ [`${PRM}/mcp`]: resource, [AS]: metadata }, { clock: () => now, maxAgeMs: 1000 })
    await find()
    now = 999
    await find()
    expect(asked).toHaveLength(2)
    now = 1000
    await find()
    expect(asked).toHaveLength(4)
  })
})

describe('is not found, and nothing else is asked', () => {
  const named = (authorization_servers: unknown) => ({ [`${PRM}/mcp`]: { ...resource, authorization_servers }, [AS]: metadata }) // prettier-ignore
  it.for<[string, Readonly<Record<string, unknown>>]>([
    ['nobody has metadata', {}],
    [
      'the server’s refusal names another’s metadata',
      { [SERVER]: () => refusal('https://evil.example/prm'), 'https://evil.example/prm': resource, [AS]: metadata },
    ],
    [
      'the server’s refusal names none',
      {
        [SERVER]: () =>
          new Response(null, { status: 401, headers: { 'www-authenticate': 'Bearer resource_metadata="' } }),
      },
    ],
    ['the metadata is of another server', { [`${PRM}/mcp`]: { ...resource, resource: 'https://other.example/mcp' }, [AS]: metadata }], // prettier-ignore
    ['the metadata is of a longer path', { [`${PRM}/mcp`]: { ...resource, resource: 'https://crm.example/mcp/x' }, [AS]: metadata }], // prettier-ignore
    ['a path only begins alike', { [`${PRM}/mcp`]: { ...resource, resource: 'https://crm.example/mc' }, [AS]: metadata }], // prettier-ignore
    ['the metadata names nobody', named([])],
    ['the metadata names no list', named('https://idp.example')],
    ['the authorization server has no https', named(['http://idp.example'])],
    ['the authorization server is on this machine', named(['http://127.0.0.1:8080', 'http://localhost'])],
    ['the authorization server is no URL', named(['idp', 7, null])],
    ['the metadata is that of another issuer', { [`${PRM}/mcp`]: resource, [AS]: { ...metadata, issuer: 'https://evil.example' } }], // prettier-ignore
    ['the token endpoint is on this machine', { [`${PRM}/mcp`]: resource, [AS]: { ...metadata, token_endpoint: 'http://127.0.0.1/token' } }], // prettier-ignore
    ['the token endpoint has a password in it', { [`${PRM}/mcp`]: resource, [AS]: { ...metadata, token_endpoint: 'https://u:p@idp.example/token' } }], // prettier-ignore
    ['the metadata is a redirect', { [`${PRM}/mcp`]: () => new Response(null, { status: 302, headers: { location: 'http://169.254.169.254/' } }) }], // prettier-ignore
    ['the metadata is no JSON', { [`${PRM}/mcp`]: () => new Response('<html>') }],
    ['the metadata is null', { [`${PRM}/mcp`]: () => new Response('null') }],
    ['the metadata is endless', { [`${PRM}/mcp`]: () => new Response('x'.repeat(70_000)) }],
  ])('%s', async ([, pages]) => {
    const { asked, find } = at(pages)
    await expect(find()).rejects.toMatchObject({ code: 'AUTH_UPSTREAM_UNAVAILABLE' })
    for (const url of asked) expect(['crm.example', 'idp.example']).toContain(new URL(url).host)
  })
})

test.each([
  ['the server', { server: 'http://crm.example/mcp' }],
  ['the issuer', { issuer: 'http://idp.example' }],
])('%s has to be https', (_, options) => {
  expect(() => at({}, options)).toThrow(TypeError)
})

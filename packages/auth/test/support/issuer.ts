/** A real OpenID provider on loopback, whose keys can be changed while it runs. */
import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createLocalJWKSet, exportJWK, generateKeyPair, jwtVerify } from 'jose'
import { errors, Provider, type Configuration, type JWK, type TokenEndpointGrantContext } from 'oidc-provider'

export type Issuer = AsyncDisposable & {
  readonly issuer: string
  /** How often its keys were asked for. */
  readonly jwksFetches: () => number
  /** New keys first; the old ones are gone. */
  readonly rotate: () => Promise<void>
  /** Its public keys, as anybody can read them. */
  readonly publicKeys: () => Promise<readonly JWK[]>
  /** A token by client credentials, of `machine` or `robot`. */
  readonly token: (resource: string, scope?: string, clientId?: string) => Promise<string>
  /** How often its token endpoint was asked. */
  readonly tokenRequests: () => number
  /** How long the tokens given out from now on last. */
  readonly setTtl: (ttlMs: number) => void
  /** Answers nothing but 503, or again as it should. */
  readonly setDown: (isDown: boolean) => void
}

/** Where nobody listens: the browser of the tests stops there. */
export const REDIRECT = 'http://127.0.0.1:9/callback'
export const SECRET = 'machine-secret-machine-secret-machine-secret'
export const TOKEN_TTL_MS = 300_000
const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange'

type Settings = { ttlMs: number }

export async function startIssuer(): Promise<Issuer> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const settings: Settings = { ttlMs: TOKEN_TTL_MS }
  let provider = await createProvider(issuer, settings)
  let tokenRequests = 0
  let fetches = 0
  let isDown = false
  server.on('request', (request, response) => {
    const path = request.url ?? '/'
    if (path === '/jwks') fetches += 1
    if (path === '/token') tokenRequests += 1
    if (isDown) {
      response.writeHead(503).end()
    } else if (path.startsWith('/interaction/')) {
      agree(provider, request, response).catch(() => response.writeHead(500).end())
    } else {
      void provider.callback()(request, response)
    }
  })
  const publicKeys = async (): Promise<readonly JWK[]> =>
    ((await (await fetch(`${issuer}/jwks`)).json()) as { keys: JWK[] }).keys
  return {
    issuer,
    jwksFetches: () => fetches,
    async rotate() {
      provider = await createProvider(issuer, settings)
    },
    publicKeys,
    token: (resource, scope = 'mcp:read', clientId = 'machine') => requestToken(issuer, resource, scope, clientId),
    tokenRequests: () => tokenRequests,
    setTtl(ttlMs) {
      settings.ttlMs = ttlMs
    },
    setDown(value) {
      isDown = value
    },
    async [Symbol.asyncDispose]() {
      await close(server)
    },
  }
}

export async function close(server: Server): Promise<void> {
  server.closeAllConnections()
  await new Promise<void>((resolve) => server.close(() => resolve()))
}

async function requestToken(issuer: string, resource: string, scope: string, clientId: string): Promise<string> {
  const reply = await fetch(`${issuer}/token`, {
    method: 'POST',
    headers: { authorization: `Basic ${Buffer.from(`${clientId}:${SECRET}`).toString('base64')}` },
    body: new URLSearchParams({ grant_type: 'client_credentials', resource, scope }),
  })
  const { access_token: token } = (await reply.json()) as { access_token?: string }
  if (token === undefined) throw new Error(`the provider gives no token: ${reply.status}`)
  return token
}

async function createProvider(issuer: string, settings: Settings): Promise<Provider> {
  const keys = await Promise.all(
    ['RS256', 'ES256'].map(async (alg) => {
      const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true })
      const named = { alg, use: 'sig', kid: crypto.randomUUID() }
      return {
        secret: { ...(await exportJWK(privateKey)), ...named },
        open: { ...(await exportJWK(publicKey)), ...named },
      }
    }),
  )
  const provider = new Provider(issuer, {
    ...configurationOf(settings),
    jwks: { keys: keys.map(({ secret }) => secret) },
  })
  addExchange(provider, createLocalJWKSet({ keys: keys.map(({ open }) => open) }), settings)
  return provider
}

/** RFC 8693 §2, as far as the gateway uses it: somebody's token for one of theirs at another resource. */
function addExchange(provider: Provider, keys: ReturnType<typeof createLocalJWKSet>, settings: Settings): void {
  const names = ['subject_token', 'subject_token_type', 'requested_token_type', 'resource', 'scope', 'audience']
  const exchange = async (context: TokenEndpointGrantContext<Params>): Promise<void> => {
    const { client, params } = context.oidc
    const { subject_token: given = '', resource = '', scope } = params
    const subject = await jwtVerify(given, keys, { issuer: provider.issuer }).catch(() => undefined)
    if (subject === undefined) throw new errors.InvalidGrant('the subject token is not good')
    const accountId = String(subject.payload.sub)
    const grantId = await new provider.Grant({ accountId, clientId: client.clientId }).save()
    const token = new provider.AccessToken({ accountId, client, scope, gty: EXCHANGE, grantId })
    token.resourceServer = new provider.ResourceServer(resource, resourceServer(resource, settings))
    context.body = { access_token: await token.save(), token_type: 'Bearer', expires_in: token.expiration }
  }
  provider.registerGrantType<Params>(EXCHANGE, exchange, names)
}

type Params = { readonly subject_token?: string; readonly resource?: string; readonly scope?: string }

const resourceServer = (resource: string, { ttlMs }: Settings) => ({
  scope: 'mcp:read mcp:write',
  audience: resource,
  accessTokenFormat: 'jwt' as const,
  accessTokenTTL: ttlMs / 1000,
  jwt: { sign: { alg: 'RS256' as const } },
})

const machine = { client_secret: SECRET, redirect_uris: [], response_types: [] }

const configurationOf = (settings: Settings): Configuration => ({
  clients: [
    { ...machine, client_id: 'machine', grant_types: ['client_credentials'] },
    { ...machine, client_id: 'robot', grant_types: ['client_credentials'] },
    { ...machine, client_id: 'gateway', grant_types: ['client_credentials', EXCHANGE] },
    // Registered by hand: registering itself, the SDK's client names the scopes of its first request, and this provider
    // then refuses it any others, so that it could never step up.
    {
      client_id: 'agent',
      token_endpoint_auth_method: 'none',
      application_type: 'native',
      redirect_uris: [REDIRECT],
    },
  ],
  cookies: { keys: ['a cookie secret for tests'] },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      useGrantedResource: () => true,
      getResourceServerInfo: (_, resource) => resourceServer(resource, settings),
    },
  },
  scopes: ['openid', 'offline_access', 'mcp:read', 'mcp:write'],
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  extraTokenClaims: () => ({ customer_id: 'c-1', tenant: 'acme', realm_access: { roles: ['reader', 'writer'] } }),
  interactions: { url: (_, { uid }) => `/interaction/${uid}` },
})

/** A person who is alice and agrees to everything. */
async function agree(
  provider: Provider,
  request: Parameters<Provider['interactionDetails']>[0],
  response: ServerResponse,
): Promise<void> {
  const { prompt, params, session, grantId } = await provider.interactionDetails(request, response)
  if (prompt.name === 'login') {
    await provider.interactionFinished(request, response, { login: { accountId: 'alice' } })
    return
  }
  const grant =
    (grantId === undefined ? undefined : await provider.Grant.find(grantId)) ??
    new provider.Grant({ accountId: session?.accountId ?? '', clientId: String(params['client_id']) })
  const { missingOIDCScope = [], missingResourceScopes = {} } = prompt.details as {
    missingOIDCScope?: string[]
    missingResourceScopes?: Record<string, string[]>
  }
  if (missingOIDCScope.length > 0) grant.addOIDCScope(missingOIDCScope.join(' '))
  for (const [resource, scopes] of Object.entries(missingResourceScopes)) {
    grant.addResourceScope(resource, scopes.join(' '))
  }
  const result = { consent: { grantId: await grant.save() } }
  await provider.interactionFinished(request, response, result, { mergeWithLastSubmission: true })
}

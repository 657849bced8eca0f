/** Signing in with a wallet, and the documents by which clients find out how to get in. */
import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi'
import { AuthError, type Caller } from '@mcp-gateway/auth'
import { protectedResourceRoutes } from '@mcp-gateway/auth/hono'
import type { Config } from './config.ts'
import { GatewayError } from './errors.ts'
import { resourcesOf, type WalletSignIn } from './open-authentication.ts'
import type { RestEnv } from './routes.ts'

export type AuthRoutesOptions = {
  readonly config: () => Pick<Config, 'auth' | 'publicUrl' | 'servers'>
  readonly wallets: () => WalletSignIn | undefined
}

/** Nobody has credentials yet who asks here. */
export const PUBLIC_PATHS: ReadonlySet<string> = new Set(['/api/auth/challenge', '/api/auth/verify'])
const DAY_MS = 86_400_000
const DEFAULT_LIFETIME_DAYS = 90

const json = <T extends z.ZodType>(schema: T, description: string) => ({ content: { 'application/json': { schema } }, description }) // prettier-ignore
const security = [{ apiKey: [] }, { bearer: [] }]
const tokenSchema = z
  .object({
    id: z.string(),
    name: z.string(),
    createdAt: z.number(),
    expiresAt: z.number(),
    revokedAt: z.number().optional(),
  }) // prettier-ignore
  .openapi('WalletToken')

const routes = {
  challenge: createRoute({
    method: 'get',
    path: '/api/auth/challenge',
    summary: 'A message for a wallet to sign (EIP-4361)',
    request: { query: z.object({ address: z.string().max(64), chainId: z.coerce.number().int().min(1).default(1) }) },
    responses: {
      200: json(z.object({ message: z.string(), nonce: z.string(), expiresAt: z.number() }), 'The message'),
    },
  }),
  verify: createRoute({
    method: 'post',
    path: '/api/auth/verify',
    summary: 'The signed message for a session of 24 hours',
    request: {
      body: { required: true, ...json(z.object({ message: z.string(), signature: z.string() }), 'As signed') },
    },
    responses: { 200: json(z.object({ token: z.string(), expiresAt: z.number() }), 'The session') },
  }),
  createToken: createRoute({
    method: 'post',
    path: '/api/auth/create-token',
    summary: 'A long-lived token of the wallet that has signed in',
    security,
    request: { body: { required: true, ...json(z.object({ name: z.string().optional(), expiresInDays: z.number().optional() }), 'Its name') } }, // prettier-ignore
    responses: { 200: json(tokenSchema.extend({ token: z.string() }), 'Shown this once') },
  }),
  listTokens: createRoute({
    method: 'get',
    path: '/api/auth/tokens',
    summary: 'The tokens of the wallet that has signed in',
    security,
    responses: { 200: json(z.object({ tokens: z.array(tokenSchema) }), 'Without the tokens themselves') },
  }),
  revokeToken: createRoute({
    method: 'delete',
    path: '/api/auth/tokens/{id}',
    summary: 'End a token',
    security,
    request: { params: z.object({ id: z.string().max(64) }) },
    responses: { 200: json(z.object({ revoked: z.boolean() }), 'It is good for nothing any more') },
  }),
}

export function addAuthRoutes(app: OpenAPIHono<RestEnv>, { config, wallets }: AuthRoutesOptions): void {
  const signIn = (): WalletSignIn => {
    const found = wallets()
    if (found === undefined) throw new GatewayError('GATEWAY_NOT_FOUND', 'no wallets are let in here')
    return found
  }
  app.openapi(routes.challenge, (c) => {
    const { address, chainId } = c.req.valid('query')
    return c.json(signIn().login.challenge({ address, chainId }), 200, NO_STORE)
  })
  app.openapi(routes.verify, async (c) => {
    const { message, signature } = c.get('body')
    const { login, sessions } = signIn()
    const signed = { message: String(message), signature: String(signature) }
    const caller = await login.verify(signed).catch(c.env.refused)
    const { token, expiresAt } = await sessions.issue(caller)
    return c.json({ token, expiresAt }, 200, NO_STORE)
  })
  app.openapi(routes.createToken, async (c) => {
    const { name = 'wallet token', expiresInDays = DEFAULT_LIFETIME_DAYS } = c.get('body')
    const wish = { name: String(name), lifetimeMs: Number(expiresInDays) * DAY_MS }
    const { token, record } = await bounded(signIn().tokens.create(walletCaller(c.get('caller')), wish))
    return c.json({ token, ...shown(record) }, 200, NO_STORE)
  })
  app.openapi(routes.listTokens, async (c) => {
    const tokens = await signIn().tokens.list(walletCaller(c.get('caller')))
    return c.json({ tokens: tokens.map(shown) }, 200)
  })
  app.openapi(routes.revokeToken, async (c) => {
    const revoked = await signIn().tokens.revoke(walletCaller(c.get('caller')), c.req.valid('param').id)
    return c.json({ revoked }, 200)
  })
  app.get('/.well-known/erc8128', (c) => c.json(signIn().discovery))
  const resourceOf = (path: string) => {
    const { auth, publicUrl, servers } = config()
    const resource = `${publicUrl}${path === '' ? '/mcp' : path}`
    if (auth.oidc.length === 0 || !resourcesOf({ publicUrl, servers }).includes(resource)) return undefined
    const authorizationServers = auth.oidc.map(({ issuer }) => issuer)
    return { resource, authorizationServers, scopes: auth.scopes, name: 'MCP Gateway' }
  }
  app.use(protectedResourceRoutes({ resources: resourceOf }))
}

const NO_STORE = { 'cache-control': 'no-store' }

/** Whoever has no wallet has no tokens of one either. */
function walletCaller(caller: Caller): Caller {
  if (typeof caller.attributes['wallet'] === 'string') return caller
  throw new AuthError('AUTH_SIGNATURE_REQUIRED', 'sign in with a wallet first')
}

async function bounded<T>(made: Promise<T>): Promise<T> {
  try {
    return await made
  } catch (error) {
    if (error instanceof RangeError) throw new GatewayError('GATEWAY_INVALID_REQUEST', error.message)
    throw error
  }
}

function shown({ id, name, createdAt, expiresAt, revokedAt }: z.infer<typeof tokenSchema>) {
  return { id, name, createdAt, expiresAt, ...(revokedAt !== undefined && { revokedAt }) }
}

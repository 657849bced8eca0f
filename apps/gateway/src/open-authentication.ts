/** From the configuration to who is let in: the schemes in the order of their strength, and what wallets sign in with. */
import { createHmac, randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import {
  createAccountVerifier,
  createApiKeys,
  createAuthenticator,
  createClientCertificates,
  createErc8128,
  createHttpRpc,
  createOidc,
  createRpcAccountReader,
  createSessionTokens,
  createWalletLogin,
  createWallets,
  createWalletTokens,
  DEFAULT_TENANT,
  describeErc8128,
  enforceOperatorSignatures,
  requireScopes,
  type Authenticator,
  type Caller,
  type Erc8128Discovery,
  type ReplayStore,
  type Scheme,
  type SessionTokens,
  type WalletLogin,
  type WalletTokens,
  type WalletTokenStore,
} from '@mcp-gateway/auth'
import type { AuthConfig, WalletsConfig } from './auth-config.ts'
import type { Config } from './config.ts'
import { openKeyUse } from './key-use.ts'
import { openRedis } from './open-redis.ts'
import { quotaOf } from './quotas.ts'
import { withSubjectTokens } from './subject-token.ts'
import { withTokenQuota } from './token-quota.ts'

/** What people do with their wallets, besides calling. */
export type WalletSignIn = {
  readonly login: WalletLogin
  readonly sessions: SessionTokens
  readonly tokens: WalletTokens
  readonly discovery: Erc8128Discovery
}

export type Authentication = {
  readonly authenticate: Authenticator['authenticate']
  readonly wallets: WalletSignIn | undefined
  /** Whether each request shows anew who it is from: nothing of it may be remembered. */
  readonly isSigned: (headers: Readonly<Record<string, unknown>>) => boolean
}

export type AuthenticationOpener = Disposable & { open(config: Config): Promise<Authentication> }

export type AuthenticationOptions = {
  /** SQLite file of the gateway, or `:memory:`. */
  readonly database: string
  /** `ERC8128_ENFORCE_OPERATOR_MCP` */
  readonly enforceSignatures: boolean
}

type Stores = { readonly replay: ReplayStore; readonly tokens: WalletTokenStore }

export function createAuthenticationOpener({
  database,
  enforceSignatures,
}: AuthenticationOptions): AuthenticationOpener {
  const uses = openKeyUse(database)
  const closers: (() => void)[] = [() => uses[Symbol.dispose]()]
  let opened: Stores | undefined

  const openStores = async (redis: string | undefined): Promise<Stores> => {
    if (opened !== undefined) return opened
    const { replay, tokens } = await openLocal(database, closers)
    opened = { tokens, replay: redis === undefined ? replay : await openRedisReplay(redis, closers) }
    return opened
  }
  return {
    async open(config) {
      const { auth, publicUrl } = config
      if (auth.type === 'none') return { authenticate: () => ANYBODY, wallets: undefined, isSigned: () => false }
      const signIn =
        auth.wallets === undefined || publicUrl === undefined
          ? undefined
          : await openWallets(auth, auth.wallets, publicUrl, await openStores(auth.redis), {
              database,
              enforceSignatures,
              quota: (tenantId) => quotaOf(config.quotas, tenantId, 'maxKeysPerConsumer'),
            })
      const certificates = certificatesOf(auth)
      const oidc = oidcOf(config)
      const schemes: (Scheme | undefined)[] = [signIn?.signed, certificates, createApiKeys({ keys: auth.keys, onUse: uses.note }), ...(signIn?.bearers ?? []), oidc] // prettier-ignore
      const { authenticate } = createAuthenticator({
        schemes: schemes.flatMap((scheme) => scheme ?? []).map((scheme) => withScopes(scheme, auth.scopes)),
      })
      const proof = [
        ...(signIn ? ['signature-input'] : []),
        ...(auth.certificates?.proxies ? [certificateHeader(auth)] : []),
      ]
      return { authenticate, wallets: signIn?.signIn, isSigned: (headers) => proof.some((name) => headers[name] !== undefined) } // prettier-ignore
    },
    [Symbol.dispose]() {
      for (const close of closers.splice(0)) close()
    },
  }
}

/** Credentials that know no scopes are not held back. */
function withScopes(scheme: Scheme, scopes: readonly string[]): Scheme {
  if (scopes.length === 0) return scheme
  const check = (caller: Caller | undefined): Caller | undefined => {
    if (caller !== undefined) requireScopes(caller, scopes)
    return caller
  }
  return {
    name: scheme.name,
    authenticate(request) {
      const answer = scheme.authenticate(request)
      return answer instanceof Promise ? answer.then(check) : check(answer)
    },
  }
}

/** What is wrong in the section, said by those who will use it. Nothing is opened. */
export function checkAuth({
  auth,
  publicUrl,
}: Pick<Config, 'auth' | 'publicUrl'>): { path: string[]; message: string }[] {
  const problems: { path: string[]; message: string }[] = []
  const attempt = (path: string[], make: () => unknown): void => {
    try {
      make()
    } catch (error) {
      if (!(error instanceof TypeError || error instanceof RangeError)) throw error
      problems.push({ path: ['auth', ...path], message: error.message })
    }
  }
  const name = 'tokens and signatures are made for one name of this gateway: set "publicUrl"'
  if (auth.oidc.length > 0 && publicUrl === undefined) problems.push({ path: ['auth', 'oidc'], message: name })
  if (auth.wallets !== undefined && publicUrl === undefined) problems.push({ path: ['auth', 'wallets'], message: name })
  attempt(['keys'], () => createApiKeys({ keys: auth.keys }))
  attempt(['oidc'], () => createOidc({ issuers: auth.oidc, audience: 'https://gateway.invalid/mcp' }))
  attempt(['certificates'], () => certificatesOf(auth))
  const { wallets } = auth
  if (wallets !== undefined) attempt(['wallets'], () => [createWallets(walletsOf(wallets)), accountsOf(wallets)])
  return problems
}

/** The resources that access tokens may be for: all servers together, or one of them. */
export function resourcesOf({ publicUrl = '', servers }: Pick<Config, 'publicUrl' | 'servers'>): string[] {
  return [
    `${publicUrl}/mcp`,
    ...servers.map(({ id }) => `${publicUrl}/mcp/server/${id}`),
    `${publicUrl}/mcp/server/gateway`,
  ]
}

function oidcOf(config: Config): Scheme | undefined {
  if (config.auth.oidc.length === 0) return undefined
  const scheme = createOidc({ issuers: config.auth.oidc, audience: resourcesOf(config) })
  // Nobody's token is kept for a gateway that exchanges none.
  const exchanges = config.servers.some(
    (server) => server.transport === 'http' && server.auth?.type === 'token-exchange',
  )
  return exchanges ? withSubjectTokens(scheme) : scheme
}

const CERTIFICATE_HEADER = 'client-cert'

function certificateHeader({ certificates }: AuthConfig): string {
  return (certificates?.proxies?.header ?? CERTIFICATE_HEADER).toLowerCase()
}

function certificatesOf(auth: AuthConfig): Scheme | undefined {
  if (auth.certificates === undefined) return undefined
  const { identities, trustDomains, proxies, trust } = auth.certificates
  const { addresses, format } = proxies ?? {}
  return createClientCertificates({
    identities: identities.map((one) => ({ ...one, name: one.name ?? one.consumerId })),
    trustDomains,
    ...(addresses && { proxies: { addresses, header: certificateHeader(auth), ...(format && { format }) } }),
    ...(trust && { trust }),
  })
}

function walletsOf({ operators, others }: WalletsConfig): Parameters<typeof createWallets>[0] {
  return { operators: operators.map((one) => ({ ...one, name: one.name ?? one.consumerId })), others }
}

function accountsOf({ chains }: WalletsConfig): ReturnType<typeof createAccountVerifier> {
  const chainOf = ({ id, rpc }: WalletsConfig['chains'][number]) =>
    rpc === undefined ? { id } : { id, accounts: createRpcAccountReader({ request: createHttpRpc({ url: rpc }), chainId: id }) } // prettier-ignore
  return createAccountVerifier({ chains: chains.map(chainOf) })
}

type WalletSchemes = { readonly signIn: WalletSignIn; readonly signed: Scheme; readonly bearers: readonly Scheme[] }

async function openWallets(
  auth: AuthConfig,
  config: WalletsConfig,
  publicUrl: string,
  { replay, tokens: store }: Stores,
  options: AuthenticationOptions & { readonly quota: (tenantId: string) => number | undefined },
): Promise<WalletSchemes> {
  const wallets = createWallets(walletsOf(config))
  const accounts = accountsOf(config)
  const { maxValidityMs } = config
  const secret = auth.sessionSecret === undefined ? ownSecret(options.database) : Buffer.from(auth.sessionSecret)
  const uri = `${publicUrl}/mcp`
  // One secret has one use: neither of these two texts is ever signed with the other's key.
  const keyFor = (use: string): Buffer => createHmac('sha256', secret).update(`mcp-gateway ${use}`).digest()
  const login = createWalletLogin({ wallets, accounts, replay, secret: keyFor('login'), domain: new URL(publicUrl).host, uri }) // prettier-ignore
  const sessions = createSessionTokens({ secrets: [keyFor('sessions')], issuer: publicUrl, audience: uri })
  const tokens = createWalletTokens({ store, wallets })
  const enforces = config.enforceSignatures || options.enforceSignatures
  const guard = (scheme: Scheme): Scheme => (enforces ? enforceOperatorSignatures({ scheme, wallets }) : scheme)
  const validity = maxValidityMs === undefined ? {} : { maxValidityMs }
  return {
    signIn: {
      login,
      sessions,
      tokens: withTokenQuota(tokens, { auth, store, quota: options.quota }),
      discovery: describeErc8128({ accounts, ...validity }),
    },
    signed: createErc8128({ wallets, accounts, replay, ...validity }),
    bearers: [guard(tokens.scheme), guard(sessions.scheme)],
  }
}

/** Made once, readable by the gateway's user only. Whoever has it can sign in as any wallet. */
function ownSecret(database: string): Buffer {
  if (database === ':memory:') return randomBytes(32)
  const file = join(dirname(database), 'session.key')
  mkdirSync(dirname(file), { recursive: true })
  if (!existsSync(file)) writeFileSync(file, randomBytes(32), { mode: 0o600, flag: 'wx', flush: true })
  return readFileSync(file)
}

async function openLocal(file: string, closers: (() => void)[]): Promise<Stores> {
  if (file === ':memory:') {
    const memory = await import('@mcp-gateway/auth/stores/memory')
    return { replay: memory.createMemoryReplayStore(), tokens: memory.createMemoryWalletTokenStore() }
  }
  const sqlite = await import('@mcp-gateway/auth/stores/sqlite')
  mkdirSync(dirname(file), { recursive: true })
  const database = new DatabaseSync(file, { timeout: 2000 })
  closers.push(() => database.close())
  // A nonce that is used up must be so after a power cut, too.
  database.exec('pragma journal_mode=wal; pragma synchronous=full')
  return {
    replay: sqlite.createSqliteReplayStore({ database }),
    tokens: sqlite.createSqliteWalletTokenStore({ database }),
  }
}

async function openRedisReplay(url: string, closers: (() => void)[]): Promise<ReplayStore> {
  const { createRedisReplayStore } = await import('@mcp-gateway/auth/stores/redis')
  // Whoever could not be checked is told so.
  const redis = await openRedis(url, { onError: () => undefined })
  closers.push(() => redis.disconnect())
  return createRedisReplayStore({ send: ([name, ...args]) => redis.call(name, ...args) })
}

const ANYBODY: Caller = Object.freeze({
  id: 'anonymous',
  name: 'anonymous',
  keyId: '',
  tenantId: DEFAULT_TENANT,
  roles: Object.freeze([]),
  attributes: Object.freeze({}),
  scheme: 'none',
})

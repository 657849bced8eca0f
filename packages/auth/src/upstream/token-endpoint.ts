/** One request to a token endpoint (RFC 6749 §3.2), as the client that an operator has registered there. */
import { randomUUID, type KeyObject } from 'node:crypto'
import { SignJWT, type CryptoKey } from 'jose'
import { AuthError } from '../errors.ts'
import { checkHttpsUrl, fetchJson, type Fetch, type JsonReply } from '../fetch-json.ts'

/** How this gateway shows the authorization server who it is. */
export type ClientAuthentication =
  | { readonly method: 'none'; readonly clientId: string }
  | {
      readonly method: 'client_secret_basic' | 'client_secret_post'
      readonly clientId: string
      readonly clientSecret: string
    }
  | {
      readonly method: 'private_key_jwt'
      readonly clientId: string
      readonly privateKey: CryptoKey | KeyObject
      /** As `ES256`. */
      readonly algorithm: string
      readonly keyId?: string | undefined
      /** The authorization server's issuer. @default the one that was found, or the token endpoint */
      readonly audience?: string | undefined
    }

export type TokenEndpoint = {
  readonly url: string
  /** Of the authorization server, where it is known: what a signed assertion is addressed to. */
  readonly issuer?: string | undefined
}

export type TokenEndpointOptions = {
  /** Its URL, or how to find it (`discoverTokenEndpoint`). */
  readonly tokenEndpoint: string | (() => Promise<TokenEndpoint>)
  readonly client: ClientAuthentication
  readonly scopes?: readonly string[] | undefined
  /** RFC 8707: the server that the token is for. */
  readonly resource?: string | undefined
  readonly audience?: string | undefined
  /** @default the global one */
  readonly fetch?: Fetch | undefined
  /** Epoch milliseconds. @default Date.now */
  readonly clock?: (() => number) | undefined
  /** @default 10 s */
  readonly timeoutMs?: number | undefined
  /** Plain http to this machine: for development and tests. @default false */
  readonly allowLoopback?: boolean | undefined
}

export type UpstreamToken = {
  /** For `Authorization: Bearer`, and only to the server it was got for. */
  readonly token: string
  /** Epoch milliseconds. */
  readonly expiresAt: number
}

const MAX_REPLY_BYTES = 65_536
const MAX_TOKEN_CHARS = 16_384
/** RFC 6749 §5.1 lets the server leave `expires_in` out; then we believe the token for this long. */
const DEFAULT_TTL_MS = 60_000
const ASSERTION_TTL_MS = 60_000

/** @throws TypeError when the endpoint is not https */
export function createTokenEndpoint(
  options: TokenEndpointOptions,
): (grant: Readonly<Record<string, string>>) => Promise<UpstreamToken> {
  const { client, scopes, resource, audience, fetch = globalThis.fetch, clock = Date.now, timeoutMs = 10_000 } = options
  const find = finder(options)
  return async (grant) => {
    const { url: href, issuer } = await find()
    const askedAt = clock()
    const { headers, fields } = await authenticate(client, issuer ?? href, askedAt)
    const form = new URLSearchParams({
      ...grant,
      ...(scopes !== undefined && scopes.length > 0 && { scope: scopes.join(' ') }),
      ...(resource !== undefined && { resource }),
      ...(audience !== undefined && { audience }),
      ...fields,
    })
    const reply = await fetchJson({ url: href, fetch, timeoutMs, maxBytes: MAX_REPLY_BYTES, headers, form }).catch(
      (cause: unknown) => {
        throw new AuthError('AUTH_UPSTREAM_UNAVAILABLE', `the token endpoint of ${hostOf(href)} does not answer`, {
          cause,
        })
      },
    )
    return readReply(reply, href, askedAt)
  }
}

function finder({ tokenEndpoint, allowLoopback = false }: TokenEndpointOptions): () => Promise<TokenEndpoint> {
  if (typeof tokenEndpoint === 'function') return tokenEndpoint
  const { href: url } = checkHttpsUrl(tokenEndpoint, 'the token endpoint', allowLoopback)
  return async () => ({ url })
}

async function authenticate(
  client: ClientAuthentication,
  addressee: string,
  now: number,
): Promise<{ headers: Record<string, string>; fields: Record<string, string> }> {
  const { clientId } = client
  if (client.method === 'none') return { headers: {}, fields: { client_id: clientId } }
  if (client.method === 'private_key_jwt') {
    const type = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'
    const assertion = await signAssertion(client, addressee, now)
    return { headers: {}, fields: { client_id: clientId, client_assertion_type: type, client_assertion: assertion } }
  }
  if (client.method === 'client_secret_post') {
    return { headers: {}, fields: { client_id: clientId, client_secret: client.clientSecret } }
  }
  // RFC 6749 §2.3.1: both are form-encoded first, so that a colon in them is none.
  const pair = [clientId, client.clientSecret].map((part) => new URLSearchParams({ '': part }).toString().slice(1))
  return { headers: { authorization: `Basic ${Buffer.from(pair.join(':')).toString('base64')}` }, fields: {} }
}

/** RFC 7523 §3. */
function signAssertion(
  client: ClientAuthentication & { readonly method: 'private_key_jwt' },
  addressee: string,
  now: number,
): Promise<string> {
  return new SignJWT()
    .setProtectedHeader({ alg: client.algorithm, ...(client.keyId !== undefined && { kid: client.keyId }) })
    .setIssuer(client.clientId)
    .setSubject(client.clientId)
    .setAudience(client.audience ?? addressee)
    .setJti(randomUUID())
    .setIssuedAt(Math.floor(now / 1000))
    .setExpirationTime(Math.floor((now + ASSERTION_TTL_MS) / 1000))
    .sign(client.privateKey)
}

/** Only the error's code is repeated: descriptions are free text, and some servers put what they were sent into it. */
function readReply({ status, body }: JsonReply, href: string, askedAt: number): UpstreamToken {
  const reply = (typeof body === 'object' && body !== null ? body : {}) as Readonly<Record<string, unknown>>
  if (status === 429 || status >= 500) {
    throw new AuthError('AUTH_UPSTREAM_UNAVAILABLE', `the token endpoint of ${hostOf(href)} answers ${status}`)
  }
  if (status !== 200) {
    const { error } = reply
    const code = typeof error === 'string' && /^[a-z_]{1,64}$/.test(error) ? error : `status ${status}`
    throw new AuthError('AUTH_UPSTREAM_REFUSED', `the token endpoint of ${hostOf(href)} gives no token: ${code}`)
  }
  const { access_token: token, token_type: type, expires_in: seconds } = reply
  const isToken = typeof token === 'string' && token.length <= MAX_TOKEN_CHARS && /^[A-Za-z0-9._~+/-]+=*$/.test(token)
  if (!isToken || typeof type !== 'string' || type.toLowerCase() !== 'bearer') {
    throw new AuthError('AUTH_UPSTREAM_REFUSED', `the token endpoint of ${hostOf(href)} gives no bearer token`)
  }
  const ttlMs = Number(seconds ?? Number.NaN) * 1000
  return { token, expiresAt: askedAt + (ttlMs >= 0 && Number.isFinite(ttlMs) ? ttlMs : DEFAULT_TTL_MS) }
}

function hostOf(href: string): string {
  return new URL(href).host
}

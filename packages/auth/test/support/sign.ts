/** A client of both texts of ERC-8128, written from the texts and not from the verifier. Signs with viem. */
import { createHash } from 'node:crypto'
import type { AuthRequest } from '@mcp-gateway/auth'
import { toHex, type Hex } from 'viem'
import { privateKeyToAccount, type PrivateKeyAccount } from 'viem/accounts'

/** The fixed key of the test cases of ERC-8128, "MUST NOT hold assets". */
export const signer: PrivateKeyAccount = privateKeyToAccount(`0x${'1'.padStart(64, '0')}`)
export const stranger: PrivateKeyAccount = privateKeyToAccount(`0x${'2'.padStart(64, '0')}`)

export type Draft = {
  text?: 'january-2026' | 'august-2026'
  account?: PrivateKeyAccount
  method?: string
  url?: string
  headers?: Record<string, string>
  body?: string
  components?: readonly string[]
  /** What comes after the list, without the first semicolon. */
  parameters?: string
  keyid?: string
  created?: number
  expires?: number
  nonce?: string | undefined
  label?: string
  /** Changes the 65 bytes, or makes others. */
  sign?: (base: Uint8Array) => Promise<Hex>
}

export const CREATED = 1_700_000_000
let nonces = 0

export type SignedRequest = AuthRequest & { readonly headers: Record<string, string>; readonly bytes: Uint8Array }

export async function sign(draft: Draft = {}): Promise<SignedRequest> {
  const { text = 'august-2026', account = signer, method = 'POST', url = 'https://api.example/items?view=full' } = draft
  const { body = '{"hello":"world"}', label = text === 'january-2026' ? 'eth' : 'request' } = draft
  const bytes = Buffer.from(body)
  const headers: Record<string, string> = { 'content-type': 'application/json', ...draft.headers }
  if (bytes.length > 0) {
    headers['content-digest'] ??= `sha-256=:${createHash('sha256').update(bytes).digest('base64')}:`
  }
  const address = account.address.toLowerCase()
  const { created = CREATED, expires = created + 60 } = draft
  const nonce = 'nonce' in draft ? draft.nonce : `nonce-${++nonces}`
  const keyid = draft.keyid ?? (text === 'january-2026' ? `erc8128:1:${account.address}` : `eip155:1:${address}`)
  const components = draft.components ?? defaults(text, url, headers)
  const quoted = components.map((name) => (name.includes('"') ? name : `"${name}"`))
  const parameters =
    draft.parameters ??
    `created=${created};expires=${expires}${nonce === undefined ? '' : `;nonce="${nonce}"`};keyid="${keyid}"` +
      (text === 'august-2026' ? ';tag="erc8128"' : '')
  const input = `(${quoted.join(' ')});${parameters}`

  const { protocol, host, pathname, search } = new URL(url)
  const values: Record<string, string> = {
    '@scheme': protocol.slice(0, -1),
    '@authority': host,
    '@method': method,
    '@path': pathname,
    '@query': search === '' ? '?' : search,
    ...headers,
  }
  const lines = components.map((name, index) => `${quoted[index]}: ${values[name] ?? ''}`)
  const base = Buffer.from([...lines, `"@signature-params": ${input}`].join('\n'))
  const hex =
    draft.sign === undefined ? await account.signMessage({ message: { raw: toHex(base) } }) : await draft.sign(base)
  headers['signature-input'] = `${label}=${input}`
  headers['signature'] = `${label}=:${Buffer.from(hex.slice(2), 'hex').toString('base64')}:`
  return { method, url, headers, bytes, body: async () => bytes }
}

function defaults(text: Draft['text'], url: string, headers: Record<string, string>): string[] {
  const names = ['@authority', '@method', '@path']
  if (text === 'august-2026') names.unshift('@scheme')
  if (text === 'august-2026' || url.includes('?')) names.push('@query')
  if (headers['content-digest'] !== undefined) names.push('content-digest')
  if (text === 'august-2026' && headers['content-type'] !== undefined) names.push('content-type')
  return names
}

/** The same request, with something else in it. */
export function change(
  request: SignedRequest,
  changes: { method?: string; url?: string; body?: string; headers?: Record<string, string | undefined> },
): SignedRequest {
  const bytes = changes.body === undefined ? request.bytes : Buffer.from(changes.body)
  const headers = { ...request.headers, ...changes.headers } as Record<string, string>
  for (const [name, value] of Object.entries(changes.headers ?? {})) if (value === undefined) delete headers[name]
  return {
    method: changes.method ?? request.method,
    url: changes.url ?? request.url,
    headers,
    bytes,
    body: async () => bytes,
  }
}

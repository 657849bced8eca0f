/** Certificates that a proxy in front has taken from its handshake and passes on in a header. */
import { AuthError } from '../errors.ts'

/**
 * - `rfc9440`: `:<base64 of the DER>:`, as `Client-Cert` has it (RFC 9440 §2.1).
 * - `pem-url-encoded`: nginx's `$ssl_client_escaped_cert`.
 * - `xfcc`: Envoy's `x-forwarded-client-cert`, of which `Cert="…"` is read.
 */
export type CertificateHeaderFormat = 'rfc9440' | 'pem-url-encoded' | 'xfcc'

const MAX_HEADER_CHARS = 16 * 1024
const PEM = /^-----BEGIN CERTIFICATE-----\r?\n([A-Za-z0-9+/=\r\n]+)-----END CERTIFICATE-----\s*$/

/** The DER. @throws AuthError AUTH_CERTIFICATE_MALFORMED */
export function readCertificateHeader(value: string, format: CertificateHeaderFormat): Uint8Array {
  if (value.length > MAX_HEADER_CHARS) throw malformed(`the header is longer than ${MAX_HEADER_CHARS} characters`)
  if (format === 'xfcc') return fromPem(readXfcc(value))
  if (format === 'pem-url-encoded') return fromPem(value)
  const base64 = /^:([A-Za-z0-9+/=]+):$/.exec(value.trim())?.[1]
  if (base64 === undefined) throw malformed('the header is not :base64:, or there is more than one certificate')
  return fromBase64(base64)
}

function fromPem(encoded: string): Uint8Array {
  let text: string
  try {
    text = decodeURIComponent(encoded)
  } catch (cause) {
    throw malformed('the certificate in the header is not URL-encoded', cause)
  }
  const base64 = PEM.exec(text)?.[1]
  if (base64 === undefined) throw malformed('the header does not have exactly one certificate in PEM')
  return fromBase64(base64.replace(/[\r\n]/g, ''))
}

function fromBase64(text: string): Uint8Array {
  const der = Buffer.from(text, 'base64')
  if (der.length === 0 || der.toString('base64') !== text) throw malformed('the certificate is not canonical base64')
  return der
}

/**
 * `Key=value;Key="value"`, and a comma between hops. More than one hop is refused: which of them has talked to the client
 * only the configuration of the proxies can tell, and Envoy's SANITIZE_SET sends exactly one.
 */
function readXfcc(value: string): string {
  let found: string | undefined
  const pattern = /([A-Za-z]+)=("(?:[^"\\]|\\.)*"|[^",;]*)(;|$)/y
  while (pattern.lastIndex < value.length) {
    const match = pattern.exec(value)
    if (match === null) throw malformed('the header is not one element of x-forwarded-client-cert')
    const [, key = '', text = ''] = match
    if (key.toLowerCase() !== 'cert') continue
    if (found !== undefined) throw malformed('the header has more than one certificate')
    found = text.replace(/^"|"$/g, '')
  }
  if (found === undefined) throw malformed('the header has no Cert; set forward_client_cert_details.cert in Envoy')
  return found
}

function malformed(message: string, cause?: unknown): AuthError {
  return new AuthError('AUTH_CERTIFICATE_MALFORMED', message, { cause })
}

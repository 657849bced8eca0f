/** A client certificate, read once and strictly. What it claims is believed by whoever knows who has verified it. */
import { X509Certificate } from 'node:crypto'
import { AuthError } from '../errors.ts'
import { parseSpiffeId } from './spiffe-id.ts'

export type ClientCertificate = {
  readonly x509: X509Certificate
  /** `sha256:` and 64 lower-case hex digits, over the DER. */
  readonly fingerprint: string
  /** Its parts as they stand in the certificate, joined by commas; a comma within a part has a backslash before it. */
  readonly subject: string
  /** In lower case. */
  readonly dnsNames: readonly string[]
  /** Undefined when no URI name is a SPIFFE ID. */
  readonly spiffeId: string | undefined
  /** Epoch milliseconds. */
  readonly notBefore: number
  readonly notAfter: number
}

/** @throws AuthError AUTH_CERTIFICATE_MALFORMED */
export function readCertificate(der: Uint8Array): ClientCertificate {
  const x509 = parse(der)
  const names = readNames(x509.subjectAltName)
  const uris = names.filter(({ kind }) => kind === 'URI').map(({ value }) => value)
  const isSvid = uris.some((uri) => uri.toLowerCase().startsWith('spiffe:'))
  // X509-SVID §2: exactly one URI, and a leaf. A second one would be a second identity for some other reader.
  if (isSvid && (uris.length !== 1 || x509.ca || parseSpiffeId(uris[0] ?? '') === undefined)) {
    throw malformed('a certificate with a SPIFFE ID has exactly one URI, a valid one, and is no CA')
  }
  return {
    x509,
    fingerprint: `sha256:${x509.fingerprint256.replaceAll(':', '').toLowerCase()}`,
    subject: x509.subject === undefined ? '' : x509.subject.split('\n').join(','),
    dnsNames: names.flatMap(({ kind, value }) => (kind === 'DNS' ? [value.toLowerCase()] : [])),
    spiffeId: isSvid ? uris[0] : undefined,
    notBefore: Date.parse(x509.validFrom),
    notAfter: Date.parse(x509.validTo),
  }
}

function parse(der: Uint8Array): X509Certificate {
  try {
    const x509 = new X509Certificate(der)
    // Node reads PEM as well, and OpenSSL does not mind what comes behind: then the fingerprint would not be the header's.
    if (x509.raw.equals(der)) return x509
  } catch (cause) {
    throw malformed('this is not a certificate in DER', cause)
  }
  throw malformed('there is more than one certificate in DER')
}

type Name = { readonly kind: string; readonly value: string }

/**
 * Node writes `DNS:a, URI:b`, and in double quotes what could be taken for two names (CVE-2021-44532). A name in quotes is
 * none that anybody has a use for, but it counts: two URIs are two, whatever is in them.
 */
function readNames(text: string | undefined): readonly Name[] {
  if (text === undefined) return []
  const names: Name[] = []
  const pattern = /([A-Za-z ]+):("(?:[^"\\]|\\.)*"|[^",]*)(?:, |$)/y
  while (pattern.lastIndex < text.length) {
    const match = pattern.exec(text)
    if (match === null) throw malformed('its alternative names cannot be read')
    const [, kind = '', value = ''] = match
    names.push({ kind, value: value.startsWith('"') ? '' : value })
  }
  return names
}

function malformed(message: string, cause?: unknown): AuthError {
  return new AuthError('AUTH_CERTIFICATE_MALFORMED', message, { cause })
}

/**
 * Client certificates: from the handshake of an own TLS listener, or from the header of a proxy that has done it. SPIFFE
 * IDs (X509-SVID), fingerprints, subjects and DNS names become callers.
 */
import { DEFAULT_TENANT, type Caller } from '../caller.ts'
import { readCertificate, type ClientCertificate } from '../certificates/certificate.ts'
import { createPeerList } from '../certificates/peer-list.ts'
import { readCertificateHeader, type CertificateHeaderFormat } from '../certificates/proxy-header.ts'
import { parseSpiffeId } from '../certificates/spiffe-id.ts'
import { createTrustBundle, type TrustBundle } from '../certificates/trust-bundle.ts'
import { AuthError } from '../errors.ts'
import type { AuthRequest } from '../request.ts'
import type { Scheme } from '../scheme.ts'

/** One of these. Names are as good as the authorities that the handshake, or `trust`, accepts. */
export type CertificateMatch =
  | { readonly spiffeId: string }
  /** `sha256:` and 64 lower-case hex digits, over the DER. */
  | { readonly fingerprint: string }
  /** All of it, in the certificate's order: `C=CH,O=Acme,CN=agent-1`. */
  | { readonly subject: string }
  | { readonly dnsName: string }

export type CertificateIdentity = {
  readonly match: CertificateMatch
  readonly consumerId: string
  readonly name: string
  readonly roles: readonly string[]
  /** @default 'default' */
  readonly tenantId?: string | undefined
  readonly attributes?: Readonly<Record<string, unknown>> | undefined
}

export type SpiffeTrustDomain = {
  readonly trustDomain: string
  /**
   * The authorities of this domain, in PEM. Needed as soon as there is a second one: otherwise the authority of one domain
   * could make certificates for the other (SPIFFE Trust Domain and Bundle §3).
   */
  readonly bundle?: readonly string[] | undefined
  /** What workloads are that no identity names; without it they are refused. Their SPIFFE ID is their id. */
  readonly workloads?: { readonly roles: readonly string[]; readonly tenantId?: string | undefined } | undefined
}

export type CertificateProxies = {
  /** Addresses and networks of the proxies, and of nothing else: whoever connects from there is believed. */
  readonly addresses: readonly string[]
  /** @default 'client-cert' */
  readonly header?: string
  /** @default 'rfc9440' */
  readonly format?: CertificateHeaderFormat
}

export type ClientCertificatesOptions = {
  readonly identities?: readonly CertificateIdentity[]
  readonly trustDomains?: readonly SpiffeTrustDomain[]
  readonly proxies?: CertificateProxies
  /** Authorities in PEM that must have signed what a proxy passes on. @default the proxies' word is taken */
  readonly trust?: readonly string[]
  /** Epoch milliseconds. @default Date.now */
  readonly clock?: () => number
}

/** @throws TypeError for addresses, SPIFFE IDs, fingerprints or authorities that cannot be read, and for a match that comes twice */
export function createClientCertificates(options: ClientCertificatesOptions): Scheme {
  const { proxies, trust, clock = Date.now } = options
  const header = (proxies?.header ?? 'client-cert').toLowerCase()
  const isProxy = createPeerList(proxies?.addresses ?? [])
  const bundle = trust === undefined ? undefined : createTrustBundle(trust)
  const identify = createDirectory(options)

  const check = (certificate: ClientCertificate, isPassedOn: boolean): Caller => {
    const now = clock()
    // Of the own listener's too: the handshake was perhaps a day ago.
    if (!(certificate.notBefore <= now && now <= certificate.notAfter)) {
      throw new AuthError('AUTH_CERTIFICATE_EXPIRED', 'the client certificate is not valid now')
    }
    if (isPassedOn && bundle !== undefined && !bundle.hasIssued(certificate, now)) throw untrusted()
    return identify(certificate, now)
  }
  return {
    name: 'mtls',
    /** @throws AuthError AUTH_CERTIFICATE_HEADER_REFUSED, _MALFORMED, _EXPIRED, _UNTRUSTED, _UNKNOWN */
    authenticate(request) {
      const isFromProxy = isProxy(request.peer?.address)
      const value = readHeader(request, header, isFromProxy)
      if (value !== undefined)
        return check(readCertificate(readCertificateHeader(value, proxies?.format ?? 'rfc9440')), true)
      // A proxy's own certificate says who the proxy is, never who is calling through it.
      const der = isFromProxy ? undefined : request.peer?.certificate
      return der === undefined ? undefined : check(readCertificate(der), false)
    },
  }
}

/**
 * A header from somebody who is no proxy is refused and not ignored: either somebody is trying to be another, or the list
 * of proxies is wrong, and then every caller would quietly be somebody else or nobody.
 */
function readHeader({ headers }: AuthRequest, header: string, isFromProxy: boolean): string | undefined {
  for (const name of new Set([header, 'client-cert'])) {
    const value = headers[name]
    if (value === undefined) continue
    if (!isFromProxy || name !== header) {
      throw new AuthError(
        'AUTH_CERTIFICATE_HEADER_REFUSED',
        `"${name}" is taken only from the proxies that are configured for it`,
      )
    }
    // nginx sends an empty one when there is no certificate.
    if (value === '') continue
    if (typeof value === 'string') return value
    throw new AuthError('AUTH_CERTIFICATE_MALFORMED', `"${name}" is given more than once`)
  }
  return undefined
}

type Domain = SpiffeTrustDomain & { readonly authorities: TrustBundle | undefined }

function createDirectory(options: ClientCertificatesOptions): (certificate: ClientCertificate, now: number) => Caller {
  const { identities = [], trustDomains = [] } = options
  const byName = new Map<string, CertificateIdentity>()
  for (const identity of identities) {
    const key = keyOf(identity.match)
    if (byName.has(key)) throw new TypeError(`two identities match ${key}`)
    byName.set(key, identity)
  }
  const domains = new Map<string, Domain>()
  for (const domain of trustDomains) {
    if (parseSpiffeId(`spiffe://${domain.trustDomain}`)?.path !== '' || domains.has(domain.trustDomain)) {
      throw new TypeError(`"${domain.trustDomain}" is no trust domain, or comes twice`)
    }
    if (domain.bundle === undefined && trustDomains.length > 1) {
      throw new TypeError(`the trust domain "${domain.trustDomain}" needs its bundle, because there are others`)
    }
    const authorities = domain.bundle === undefined ? undefined : createTrustBundle(domain.bundle)
    domains.set(domain.trustDomain, { ...domain, authorities })
  }
  return (certificate, now) => {
    const { spiffeId } = certificate
    const id = spiffeId === undefined ? undefined : parseSpiffeId(spiffeId)
    if (spiffeId === undefined || id === undefined) return toCaller(certificate, find(byName, certificate))
    // An SVID is its SPIFFE ID: its other names are not vouched for by anybody.
    const domain = domains.get(id.trustDomain)
    if (domain === undefined) throw unknown()
    if (domain.authorities?.hasIssued(certificate, now) === false) throw untrusted()
    const { workloads } = domain
    const named = byName.get(`spiffeId ${spiffeId}`) ?? byName.get(`fingerprint ${certificate.fingerprint}`)
    if (named === undefined && workloads === undefined) throw unknown()
    return toCaller(certificate, named ?? { consumerId: spiffeId, name: spiffeId, roles: [], ...workloads })
  }
}

function find(byName: ReadonlyMap<string, CertificateIdentity>, certificate: ClientCertificate): CertificateIdentity {
  const exact = byName.get(`fingerprint ${certificate.fingerprint}`) ?? byName.get(`subject ${certificate.subject}`)
  if (exact !== undefined) return exact
  for (const name of certificate.dnsNames) {
    const identity = byName.get(`dnsName ${name}`)
    if (identity !== undefined) return identity
  }
  throw unknown()
}

function keyOf(match: CertificateMatch): string {
  if ('spiffeId' in match) {
    if (parseSpiffeId(match.spiffeId) === undefined) throw new TypeError(`"${match.spiffeId}" is no SPIFFE ID`)
    return `spiffeId ${match.spiffeId}`
  }
  if ('fingerprint' in match) {
    if (!/^sha256:[0-9a-f]{64}$/.test(match.fingerprint))
      throw new TypeError('a fingerprint is "sha256:<64 hex digits>"')
    return `fingerprint ${match.fingerprint}`
  }
  if ('subject' in match) {
    // What has no subject has an empty one: that would be everybody.
    if (match.subject === '') throw new TypeError('an empty subject matches nobody in particular')
    return `subject ${match.subject}`
  }
  if (!/^[a-z0-9_-]+(?:\.[a-z0-9_-]+)*$/i.test(match.dnsName)) throw new TypeError(`"${match.dnsName}" is no DNS name`)
  return `dnsName ${match.dnsName.toLowerCase()}`
}

function toCaller(
  { fingerprint, spiffeId, notAfter }: ClientCertificate,
  identity: Omit<CertificateIdentity, 'match'>,
): Caller {
  return Object.freeze({
    id: identity.consumerId,
    name: identity.name,
    keyId: fingerprint,
    tenantId: identity.tenantId ?? DEFAULT_TENANT,
    roles: Object.freeze([...identity.roles]),
    attributes: Object.freeze({ ...identity.attributes, ...(spiffeId === undefined ? {} : { spiffeId }) }),
    expiresAt: notAfter,
    scheme: 'mtls',
  })
}

function unknown(): AuthError {
  return new AuthError('AUTH_CERTIFICATE_UNKNOWN', 'this client certificate is nobody known here')
}

function untrusted(): AuthError {
  return new AuthError(
    'AUTH_CERTIFICATE_UNTRUSTED',
    'no authority that is trusted here has issued this client certificate',
  )
}

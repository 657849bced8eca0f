/** Certificate authorities that are believed, to be asked again where somebody else has done the handshake. */
import { X509Certificate } from 'node:crypto'
import type { ClientCertificate } from './certificate.ts'

export type TrustBundle = {
  /** Whether one of the authorities has signed it, itself; put intermediate authorities into the bundle. */
  readonly hasIssued: (certificate: ClientCertificate, now: number) => boolean
}

/** RFC 5280 §4.2.1.12, id-kp-clientAuth. */
const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2'
const PEM = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g

/** @throws TypeError when a text has no certificate, or one that is no authority's */
export function createTrustBundle(pems: readonly string[]): TrustBundle {
  const authorities = pems.flatMap((pem) => {
    const blocks = pem.match(PEM)
    if (blocks === null) throw new TypeError('a trust bundle has a text without a certificate')
    return blocks.map((block) => new X509Certificate(block))
  })
  const wrong = authorities.find((authority) => !authority.ca)
  if (wrong !== undefined) throw new TypeError(`a trust bundle has a certificate of no authority: ${wrong.subject}`)
  const isValid = ({ validFrom, validTo }: X509Certificate, now: number): boolean =>
    Date.parse(validFrom) <= now && now <= Date.parse(validTo)
  return {
    hasIssued({ x509 }, now) {
      // Absent means any use (RFC 5280). Node's type does not say that it may be.
      const uses = x509.keyUsage as readonly string[] | undefined
      if (uses !== undefined && !uses.includes(CLIENT_AUTH)) return false
      return authorities.some(
        (authority) => isValid(authority, now) && x509.checkIssued(authority) && x509.verify(authority.publicKey),
      )
    },
  }
}

/** X.509 certificates (RFC 5280) by hand, so that also the wrong ones can be made, and no openssl is needed. */
import { createPrivateKey, generateKeyPairSync, sign, X509Certificate, type KeyObject } from 'node:crypto'

export type Issued = {
  readonly der: Buffer
  readonly pem: string
  readonly key: KeyObject
  readonly name: Buffer
  readonly keyPem: string
}

export type CertificateWish = {
  readonly commonName: string
  readonly organization?: string
  readonly names?: readonly (readonly ['URI' | 'DNS', string])[]
  readonly isAuthority?: boolean
  /** @default itself */
  readonly issuer?: Issued
  readonly uses?: readonly string[]
  readonly notBefore?: Date
  readonly notAfter?: Date
}

export const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2'
export const SERVER_AUTH = '1.3.6.1.5.5.7.3.1'
let serial = 1

export function issue(wish: CertificateWish): Issued {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const name = sequence(
    ...(wish.organization === undefined ? [] : [attribute('2.5.4.10', wish.organization)]),
    attribute('2.5.4.3', wish.commonName),
  )
  const { issuer, notBefore = new Date('2020-01-01'), notAfter = new Date('2049-01-01') } = wish
  const algorithm = sequence(oid('1.2.840.10045.4.3.2'))
  const body = sequence(
    der(0xa0, der(0x02, Buffer.of(2))),
    der(0x02, Buffer.of(0x10, serial++ % 256, 1)),
    algorithm,
    issuer?.name ?? name,
    sequence(time(notBefore), time(notAfter)),
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, sequence(...extensions(wish))),
  )
  const signature = sign('sha256', body, issuer?.key ?? privateKey)
  const certificate = sequence(body, algorithm, der(0x03, Buffer.of(0), signature))
  return {
    der: certificate,
    pem: new X509Certificate(certificate).toString(),
    key: createPrivateKey(privateKey.export({ type: 'pkcs8', format: 'pem' })),
    keyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    name,
  }
}

function extensions({ names = [], isAuthority = false, uses }: CertificateWish): Buffer[] {
  const found: Buffer[] = []
  const add = (id: string, value: Buffer): void => void found.push(sequence(oid(id), der(0x04, value)))
  if (isAuthority) add('2.5.29.19', sequence(der(0x01, Buffer.of(0xff))))
  const general = names.map(([kind, value]) => der(kind === 'URI' ? 0x86 : 0x82, Buffer.from(value, 'latin1')))
  if (general.length > 0) add('2.5.29.17', sequence(...general))
  if (uses !== undefined) add('2.5.29.37', sequence(...uses.map(oid)))
  // There has to be one extension: the subject's key identifier, of no importance.
  add('2.5.29.14', der(0x04, Buffer.of(1, 2, 3, 4)))
  return found
}

function attribute(type: string, value: string): Buffer {
  return der(0x31, sequence(oid(type), der(0x0c, Buffer.from(value))))
}

function time(date: Date): Buffer {
  return der(0x18, Buffer.from(date.toISOString().replace(/[-:T]|\.\d+/g, '')))
}

function oid(text: string): Buffer {
  const [first = 0, second = 0, ...rest] = text.split('.').map(Number)
  const bytes = rest.flatMap((part) => {
    const digits = [part & 0x7f]
    for (let left = part >> 7; left > 0; left >>= 7) digits.unshift((left & 0x7f) | 0x80)
    return digits
  })
  return der(0x06, Buffer.from([first * 40 + second, ...bytes]))
}

function sequence(...parts: Buffer[]): Buffer {
  return der(0x30, ...parts)
}

function der(tag: number, ...parts: Buffer[]): Buffer {
  const content = Buffer.concat(parts)
  const { length } = content
  const head = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...head]), content])
}

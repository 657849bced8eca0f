/** SPIFFE IDs, by the letter of https://github.com/spiffe/spiffe/blob/main/standards/SPIFFE-ID.md §2. */

export type SpiffeId = {
  readonly trustDomain: string
  /** Empty, or with a slash in front. */
  readonly path: string
}

const MAX_CHARS = 2048
const MAX_TRUST_DOMAIN_CHARS = 255
const ID = /^spiffe:\/\/([a-z0-9._-]+)((?:\/[A-Za-z0-9._-]+)*)$/

/** Undefined for anything else: no port, query, percent sign, capital in the trust domain, dot segment or slash at the end. */
export function parseSpiffeId(text: string): SpiffeId | undefined {
  const match = text.length > MAX_CHARS ? null : ID.exec(text)
  const [, trustDomain = '', path = ''] = match ?? []
  if (match === null || trustDomain.length > MAX_TRUST_DOMAIN_CHARS) return undefined
  return path.split('/').some((segment) => segment === '.' || segment === '..') ? undefined : { trustDomain, path }
}

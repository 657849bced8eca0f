/** What an issuer publishes of itself (OpenID Connect Discovery 1.0 §4, RFC 8414 §3). */
import type { JsonReply } from './fetch-json.ts'

/**
 * One URL out of the metadata, as the issuer wrote it. Every known place is asked, because which one an issuer has cannot be
 * seen from its name.
 * @throws Error when none of them has it
 */
export async function readIssuerMetadata(
  issuer: string,
  member: 'jwks_uri' | 'token_endpoint',
  get: (url: string) => Promise<JsonReply>,
): Promise<string> {
  let problem = new Error('no metadata')
  for (const url of metadataUrls(issuer)) {
    try {
      const { status, body } = await get(url)
      if (status !== 200) throw new Error(`the metadata was answered with status ${status}`)
      const metadata = (body ?? {}) as Readonly<Record<string, unknown>>
      // Discovery §4.3, RFC 8414 §3.3: identical, else another issuer's would count as this one's.
      if (metadata['issuer'] !== issuer) throw new Error('the metadata is that of another issuer')
      const value = metadata[member]
      if (typeof value !== 'string') throw new Error(`the metadata has no ${member}`)
      return value
    } catch (error) {
      problem = error as Error
    }
  }
  throw problem
}

/** The order of the MCP specification, "Authorization Server Metadata Discovery". */
function metadataUrls(issuer: string): string[] {
  const { origin, pathname } = new URL(issuer)
  const path = pathname.replace(/\/$/, '')
  const urls = [
    `${origin}/.well-known/oauth-authorization-server${path}`,
    `${origin}/.well-known/openid-configuration${path}`,
    `${origin}${path}/.well-known/openid-configuration`,
  ]
  return [...new Set(urls)]
}

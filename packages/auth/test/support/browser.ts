/** A person with an MCP client, and the browser it is sent to. */
import type { OAuthClientProvider, StoredOAuthTokens } from '@modelcontextprotocol/client'
import { REDIRECT } from './issuer.ts'

export function createPerson(): { provider: OAuthClientProvider; lastRedirect: () => URL } {
  let tokens: StoredOAuthTokens | undefined
  let verifier = ''
  let redirect: URL | undefined
  return {
    lastRedirect() {
      if (redirect === undefined) throw new Error('nobody was sent to the browser')
      return redirect
    },
    provider: {
      redirectUrl: REDIRECT,
      clientMetadata: {
        client_name: 'agent',
        redirect_uris: [REDIRECT],
        grant_types: ['authorization_code'],
        response_types: ['code'],
        token_endpoint_auth_method: 'none',
      },
      clientInformation: () => ({ client_id: 'agent' }),
      tokens: () => tokens,
      saveTokens(saved) {
        tokens = saved
      },
      redirectToAuthorization(url) {
        redirect = url
      },
      saveCodeVerifier(saved) {
        verifier = saved
      },
      codeVerifier: () => verifier,
    },
  }
}

/** Keeps cookies and goes where it is sent, until that is the client's own address. */
export function createBrowser(): { visit: (url: URL) => Promise<URL> } {
  const cookies = new Map<string, string>()
  return {
    async visit(start) {
      let url = start
      for (let hop = 0; hop < 20; hop++) {
        if (url.href.startsWith(REDIRECT)) return url
        const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ')
        const response = await fetch(url, { redirect: 'manual', headers: { cookie } })
        for (const line of response.headers.getSetCookie()) {
          const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
          if (value === '') cookies.delete(name)
          else cookies.set(name, value)
        }
        const location = response.headers.get('location')
        if (location === null) throw new Error(`the browser is shown ${response.status}: ${await response.text()}`)
        url = new URL(location, url)
      }
      throw new Error('the browser is sent around in circles')
    },
  }
}

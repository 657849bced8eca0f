/** An MCP client that knows nothing but the URL, a person's browser, a provider, and a server behind the middleware. */
import { createOidc } from '@mcp-gateway/auth'
import { Client, StreamableHTTPClientTransport, UnauthorizedError } from '@modelcontextprotocol/client'
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server'
import { expect, test } from 'vitest'
import { createBrowser, createPerson } from './support/browser.ts'
import { startGateway } from './support/gateway.ts'
import { startIssuer } from './support/issuer.ts'

test('an MCP client finds the issuer, gets a token by code and PKCE, calls, steps up, and calls again', async () => {
  await using idp = await startIssuer()
  const handler = createMcpHandler(createServer)
  await using gateway = await startGateway({
    authorizationServer: idp.issuer,
    schemes: (resource) => [createOidc({ issuers: [{ issuer: idp.issuer, allowLoopback: true }], audience: resource })],
    answer: (request) => handler.fetch(request),
  })
  const browser = createBrowser()
  const person = createPerson()
  const seen: string[] = []
  const record = async (url: string | URL, init?: RequestInit): Promise<Response> => {
    const response = await fetch(url, init)
    if (String(url) === gateway.resource && [401, 403].includes(response.status)) {
      seen.push(
        `${response.status} ${response.headers.get('www-authenticate')?.replace(/error_description="[^"]*"/, '…')}`,
      )
    }
    return response
  }
  const open = (): StreamableHTTPClientTransport =>
    new StreamableHTTPClientTransport(new URL(gateway.resource), { authProvider: person.provider, fetch: record })

  const first = open()
  await expect(new Client({ name: 'agent', version: '1' }).connect(first)).rejects.toThrow(UnauthorizedError)
  const asked = person.lastRedirect()
  expect(asked.searchParams.get('code_challenge_method')).toBe('S256')
  expect(asked.searchParams.get('resource')).toBe(gateway.resource)
  expect(asked.searchParams.get('scope')?.split(' ')).toContain('mcp:read')
  await first.finishAuth((await browser.visit(asked)).searchParams)

  const second = open()
  const client = new Client({ name: 'agent', version: '1' })
  await client.connect(second)
  expect(await client.callTool({ name: 'read', arguments: {} })).toMatchObject({ content: [{ text: 'read' }] })

  await expect(client.callTool({ name: 'write', arguments: {} })).rejects.toThrow(UnauthorizedError)
  expect(person.lastRedirect().searchParams.get('scope')?.split(' ')).toEqual(
    expect.arrayContaining(['mcp:read', 'mcp:write']),
  )
  await second.finishAuth((await browser.visit(person.lastRedirect())).searchParams)
  expect(await client.callTool({ name: 'write', arguments: {} })).toMatchObject({ content: [{ text: 'write' }] })
  await client.close()

  const where = `resource_metadata="${gateway.origin}/.well-known/oauth-protected-resource/mcp"`
  expect(new Set(seen)).toEqual(
    new Set([
      `401 Bearer scope="mcp:read", ${where}`,
      `403 Bearer error="insufficient_scope", …, scope="mcp:read mcp:write", ${where}`,
    ]),
  )
})

function createServer(): McpServer {
  const server = new McpServer({ name: 'notes', version: '1.0.0' })
  for (const name of ['read', 'write']) {
    server.registerTool(name, {}, () => ({ content: [{ type: 'text', text: name }] }))
  }
  return server
}

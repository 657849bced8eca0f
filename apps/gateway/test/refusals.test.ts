// One table of everything that is refused: status, JSON-RPC error code and stable code, over MCP and over REST.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { RunningGateway } from '@mcp-gateway/gateway'
import { replies } from '../src/replies.ts'
import { echoServer, gatewayWith, KEY, KEYS, modern, openSession, send } from './support.ts'

const expired = 'gw_expired_0123456789abcdef0123456789abcdef'
const disabled = 'gw_disabled_0123456789abcdef0123456789abcdef'
const spent = 'gw_spent_0123456789abcdef0123456789abcdef'
const base = { consumerId: 'c', roles: [] }

let gateway: RunningGateway
beforeAll(async () => {
  gateway = await gatewayWith({
    auth: {
      type: 'api-key',
      keys: [
        ...KEYS.keys,
        { ...base, id: 'expired', key: expired, name: 'expired', expiresAt: '2020-01-01T00:00:00Z' },
        { ...base, id: 'disabled', key: disabled, name: 'disabled', enabled: false },
        { ...base, id: 'spent', key: spent, name: 'spent', tenantId: 'spent' },
      ],
    },
    quotas: { tenants: { spent: { maxCallsPerDay: 1 } } },
    servers: [
      echoServer('echo', { tenants: ['default', 'spent'] }),
      echoServer('off', { enabled: false }),
      { id: 'dead', command: '/nonexistent' },
    ],
    limits: { maxBodyBytes: 10_000, maxDepth: 20, maxSessionsPerCaller: 2, maxBatch: 3 },
  })
  await send(gateway, MCP, withHeaders({ authorization: `Bearer ${spent}` }))
})
afterAll(() => gateway.close())

const call = modern('tools/call', { name: 'echo', arguments: {} })
const deep = `${'['.repeat(30)}${']'.repeat(30)}`
const big = 'x'.repeat(20_000)
const withHeaders = (more: Record<string, string | undefined>) => ({
  ...call,
  headers: Object.fromEntries(Object.entries({ ...call.headers, ...more }).filter(([, value]) => value !== undefined)) as Record<string, string>, // prettier-ignore
})
const legacy = { ...call, headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' } }
const MCP = '/mcp/server/echo'
const REST = '/api/servers/echo/tools/echo'

type Row = [what: string, path: string, options: Parameters<typeof send>[2], code: keyof typeof replies]

const rows: Row[] = [
  ['no key', MCP, withHeaders({ authorization: undefined }), 'AUTH_CREDENTIALS_MISSING'],
  ['a wrong key', MCP, withHeaders({ authorization: `Bearer ${KEY}x` }), 'AUTH_KEY_UNKNOWN'],
  ['an expired key', MCP, withHeaders({ authorization: `Bearer ${expired}` }), 'AUTH_KEY_EXPIRED'],
  ['a disabled key', MCP, withHeaders({ authorization: `Bearer ${disabled}` }), 'AUTH_KEY_DISABLED'],
  ['two keys', MCP, withHeaders({ 'x-api-key': expired }), 'AUTH_AMBIGUOUS_CREDENTIALS'],
  ['Basic credentials', MCP, withHeaders({ authorization: 'Basic eDp5' }), 'AUTH_CREDENTIALS_MALFORMED'],
  [
    'a key in the query',
    `${MCP}?api_key=${KEY}`,
    withHeaders({ authorization: undefined }),
    'AUTH_CREDENTIALS_MISSING',
  ],
  ['another tenant than the key’s', MCP, withHeaders({ 'x-tenant-id': 'spent' }), 'GATEWAY_TENANT_FORBIDDEN'],
  ['no tenant at all', MCP, withHeaders({ 'x-tenant-id': '' }), 'GATEWAY_TENANT_FORBIDDEN'],
  ['a body too large', MCP, { ...call, body: big }, 'WIRE_BODY_TOO_LARGE'],
  [
    'a chunked body too large',
    MCP,
    { ...withHeaders({ 'transfer-encoding': 'chunked' }), body: big },
    'WIRE_BODY_TOO_LARGE',
  ],
  ['a body too deep', MCP, { ...call, body: deep }, 'WIRE_TOO_DEEP'],
  ['a body that is not JSON', MCP, { ...call, body: '{"jsonrpc":' }, 'WIRE_PARSE_ERROR'],
  ['a body that is no message', MCP, { ...call, body: '{"a":1}' }, 'WIRE_INVALID_MESSAGE'],
  ['another content type', MCP, withHeaders({ 'content-type': 'text/plain' }), 'WIRE_UNSUPPORTED_MEDIA_TYPE'],
  ['a foreign Host', MCP, withHeaders({ host: 'evil.example' }), 'GATEWAY_HOST_FORBIDDEN'],
  ['a Host that looks local', MCP, withHeaders({ host: 'localhost.evil.example' }), 'GATEWAY_HOST_FORBIDDEN'],
  ['a foreign Origin', MCP, withHeaders({ origin: 'https://evil.example' }), 'GATEWAY_ORIGIN_FORBIDDEN'],
  ['Origin null', MCP, withHeaders({ origin: 'null' }), 'GATEWAY_ORIGIN_FORBIDDEN'],
  ['an unknown server', '/mcp/server/nope', call, 'GATEWAY_UNKNOWN_SERVER'],
  ['a disabled server', '/mcp/server/off', call, 'GATEWAY_UNKNOWN_SERVER'],
  ['a header that contradicts the body', MCP, withHeaders({ 'mcp-name': 'other' }), 'WIRE_HEADER_MISMATCH'],
  ['an unknown version', MCP, unknownVersion(), 'WIRE_UNSUPPORTED_PROTOCOL_VERSION'],
  ['a modern request without its capabilities', MCP, withoutCapabilities(), 'WIRE_ENVELOPE_INVALID'],
  ['a legacy request without a session', MCP, { ...legacy, body: '{"jsonrpc":"2.0","id":1,"method":"tools/list"}' }, 'WIRE_SESSION_REQUIRED'], // prettier-ignore
  ['an unknown session', MCP, { headers: { ...legacy.headers, 'mcp-session-id': 'x' }, body: '{"jsonrpc":"2.0","id":1,"method":"tools/list"}' }, 'WIRE_SESSION_UNKNOWN'], // prettier-ignore
  [
    'GET without a session',
    MCP,
    { method: 'GET', headers: { authorization: `Bearer ${KEY}` } },
    'WIRE_METHOD_NOT_ALLOWED',
  ],
  ['a batch too large', MCP, { ...legacy, body: JSON.stringify(Array.from({ length: 4 }, () => ({ jsonrpc: '2.0', method: 'a' }))) }, 'WIRE_BATCH_TOO_LARGE'], // prettier-ignore
  ['an unknown tool on /mcp', '/mcp', modern('tools/call', { name: 'nope__echo' }), 'WIRE_UNKNOWN_NAME'],
  ['an unknown method on /mcp', '/mcp', modern('nope/nope'), 'WIRE_METHOD_NOT_FOUND'],
  ['REST: no key', REST, { headers: { 'content-type': 'application/json' }, body: '{}' }, 'AUTH_CREDENTIALS_MISSING'],
  [
    'REST: a foreign Host',
    REST,
    { headers: { ...legacy.headers, host: 'evil.example' }, body: '{}' },
    'GATEWAY_HOST_FORBIDDEN',
  ],
  [
    'REST: an unknown server',
    '/api/servers/nope/tools/x',
    { headers: legacy.headers, body: '{}' },
    'GATEWAY_UNKNOWN_SERVER',
  ],
  ['REST: a body too large', REST, { headers: legacy.headers, body: big }, 'WIRE_BODY_TOO_LARGE'],
  ['REST: a body too deep', REST, { headers: legacy.headers, body: `{"arguments":${deep}}` }, 'WIRE_TOO_DEEP'],
  ['REST: a body that is not JSON', REST, { headers: legacy.headers, body: '{' }, 'WIRE_PARSE_ERROR'],
  ['REST: a body that is an array', REST, { headers: legacy.headers, body: '[]' }, 'GATEWAY_INVALID_REQUEST'],
  ['REST: another content type', REST, { headers: { ...legacy.headers, 'content-type': 'text/plain' }, body: '{}' }, 'WIRE_UNSUPPORTED_MEDIA_TYPE'], // prettier-ignore
  ['REST: a server that cannot start', '/api/servers/dead/tools/x', { headers: legacy.headers, body: '{}' }, 'WIRE_UPSTREAM_START_FAILED'], // prettier-ignore
  ['REST: another tenant', REST, { headers: { ...legacy.headers, 'x-tenant-id': 'spent' }, body: '{}' }, 'GATEWAY_TENANT_FORBIDDEN'], // prettier-ignore
  ['REST: one call too many of a day', REST, { headers: { ...legacy.headers, authorization: `Bearer ${spent}` }, body: '{}' }, 'POLICY_QUOTA_REACHED'], // prettier-ignore
  ['REST: nothing there', '/nope', { headers: legacy.headers, body: '{}' }, 'GATEWAY_NOT_FOUND'],
]

function unknownVersion() {
  const { headers, body } = modern('tools/list', { _meta: { 'io.modelcontextprotocol/protocolVersion': '2031-01-01' } })
  return { headers: { ...headers, 'mcp-protocol-version': '2031-01-01' }, body }
}

function withoutCapabilities() {
  const { headers, body } = modern('tools/list', { _meta: { 'io.modelcontextprotocol/clientCapabilities': undefined } })
  return { headers, body }
}

describe('what is refused', () => {
  it.each(rows)('%s', async (_what, path, options, code) => {
    const answer = await send(gateway, path, options)
    const { status, rpcCode } = replies[code]
    expect(answer.headers['x-request-id']).toMatch(/^[\w.:-]+$/)
    expect(answer.status).toBe(status)
    if (path.startsWith('/mcp')) {
      expect(answer.json()).toMatchObject({ jsonrpc: '2.0', error: { code: rpcCode, data: { code } } })
      expect(answer.json()['id']).not.toBeNull()
    } else expect(answer.json()).toMatchObject({ error: { code, requestId: answer.headers['x-request-id'] } })
    if (status === 401) expect(answer.headers['www-authenticate']).toMatch(/^Bearer/)
    expect(answer.text).not.toContain(KEY)
  })

  it('covers every code that a request to this gateway can provoke', () => {
    // Need a running call, a second stream, a full table, a start or a server that misbehaves; see the other tests.
    const elsewhere = `
      WIRE_BODY_INCOMPLETE WIRE_SESSION_LIMIT WIRE_STREAM_CONFLICT WIRE_DUPLICATE_REQUEST_ID
      WIRE_CALL_LIMIT WIRE_UPSTREAM_CLOSED WIRE_UPSTREAM_TIMEOUT WIRE_UPSTREAM_REFUSED WIRE_UPSTREAM_UNAUTHORIZED WIRE_UPSTREAM_CREDENTIALS WIRE_UPSTREAM_PROTOCOL
      WIRE_INVALID_PARAMS WIRE_CLIENT_REFUSED WIRE_NOT_SENT WIRE_REQUEST_STATE_INVALID WIRE_CAPABILITY_MISSING WIRE_BUFFER_FULL WIRE_CANCELLED WIRE_INTERNAL GATEWAY_SERVER_ERROR GATEWAY_STOPPING
      GATEWAY_AUDIT_UNAVAILABLE GATEWAY_AUDIT_OFF GATEWAY_AUDIT_REGION GATEWAY_AUDIT_NAMES GATEWAY_ROLE_REQUIRED GATEWAY_UNKNOWN_ENTRY GATEWAY_STORAGE_QUOTA_REACHED POLICY_DENIED POLICY_UNKNOWN_TOOL POLICY_RATE_LIMITED
      POLICY_CONCURRENCY_LIMITED POLICY_LIMIT_STORE_UNAVAILABLE POLICY_ADDRESS_DENIED POLICY_ADDRESS_UNREADABLE
      POLICY_VALUE_TOO_DEEP POLICY_VALUE_TOO_LARGE POLICY_TOOL_BLOCKED POLICY_DOCUMENT_INVALID`
      .trim()
      .split(/\s+/)
    // What credentials can be wrong in is tested with those (auth.test.ts, and packages/auth).
    const others = Object.keys(replies).filter((code) => !code.startsWith('AUTH_'))
    const covered = [...rows.map((row) => row[3]), ...elsewhere].filter((code) => !code.startsWith('AUTH_'))
    expect(new Set(covered)).toEqual(new Set(others))
  })

  it('one caller cannot take all sessions, and a session is nobody else’s', async () => {
    const first = await openSession(gateway, MCP)
    await openSession(gateway, MCP)
    const third = await openSession(gateway, MCP)
    expect(third.opened.status).toBe(503)
    expect(third.opened.json()).toMatchObject({ error: { data: { code: 'WIRE_SESSION_LIMIT' } } })
    const elsewhere = await send(gateway, '/mcp', {
      headers: first.headers,
      body: '{"jsonrpc":"2.0","id":1,"method":"ping"}',
    })
    expect(elsewhere.status).toBe(404)
  })
})

it('refuses to listen wider than loopback without authentication', async () => {
  await expect(gatewayWith({ host: '0.0.0.0', auth: { type: 'none' } })).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
  })
})

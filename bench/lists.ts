// `tools/list` of many servers behind /mcp: how long it takes warm, and what the idle gateway holds.
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { callHeaders } from './messages.ts'
import { readTree } from './process-tree.ts'
import { spawnServer, waitUntilReady } from './server.ts'
import { percentile } from './statistics.ts'
import { API_KEY, echoServer, gatewayWith } from './targets.ts'

const SERVERS = 50
const TOOLS = 40
const WARM_UP = 50
const LISTS = 500
const SETTLE_MS = 2000

export type Lists = {
  readonly servers: number
  readonly tools: number
  readonly bytes: number
  readonly firstMs: number
  readonly p50Ms: number
  readonly p99Ms: number
  /** The gateway alone, without its children, after the lists. */
  readonly rssMb: number
}

export async function measureLists(): Promise<Lists> {
  const folder = await mkdtemp(join(tmpdir(), 'mcp-gateway-bench-'))
  const servers = Array.from({ length: SERVERS }, (_, at) => echoServer(`server-${at}`, '--tools', String(TOOLS)))
  await using server = await spawnServer(await gatewayWith(folder, servers))
  await waitUntilReady(server, async () => (await fetch(`${server.url}/live`)).status === 200, 20)
  const list = async (): Promise<{ ms: number; text: string }> => {
    const from = performance.now()
    const response = await fetch(`${server.url}/mcp`, {
      method: 'POST',
      headers: {
        ...callHeaders.modern,
        'content-type': 'application/json',
        'mcp-method': 'tools/list',
        authorization: `Bearer ${API_KEY}`,
      },
      body: LIST,
    })
    const text = await response.text()
    return { ms: performance.now() - from, text }
  }
  const first = await list()
  const { tools } = (JSON.parse(first.text) as { result: { tools: unknown[] } }).result
  if (tools.length !== SERVERS * TOOLS) throw new Error(`${tools.length} tools instead of ${SERVERS * TOOLS}`)
  for (let at = 0; at < WARM_UP; at += 1) await list()
  const times: number[] = []
  for (let at = 0; at < LISTS; at += 1) times.push((await list()).ms)
  await sleep(SETTLE_MS)
  const sorted = Float64Array.from(times).sort()
  return {
    servers: SERVERS,
    tools: tools.length,
    bytes: first.text.length,
    firstMs: first.ms,
    p50Ms: percentile(sorted, 0.5),
    p99Ms: percentile(sorted, 0.99),
    rssMb: readTree(server.pid).rssBytes / 2 ** 20,
  }
}

const LIST = JSON.stringify({
  jsonrpc: '2.0',
  id: 1,
  method: 'tools/list',
  params: {
    _meta: {
      'io.modelcontextprotocol/protocolVersion': '2026-07-28',
      'io.modelcontextprotocol/clientInfo': { name: 'bench', version: '1' },
      'io.modelcontextprotocol/clientCapabilities': {},
    },
  },
})

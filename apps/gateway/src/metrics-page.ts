/** The page of `GET /metrics` in the Prometheus text format 0.0.4. prom-client writes it, and escapes what is in the labels. */
import type { CallCell } from './call-metrics.ts'
import { BOUNDS_MS, type Histogram } from './histogram.ts'
import type { HttpCell } from './http-metrics.ts'
import type { Metrics } from './metrics.ts'

type Labels = Readonly<Record<string, string | number>>
type Sample = { readonly labels: Labels; readonly value: number; readonly metricName?: string }
/** As a worker of a cluster hands its metrics to prom-client; what has the same labels is added up there. */
type Family = {
  readonly name: string
  readonly help: string
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly aggregator: 'sum'
  readonly values: readonly Sample[]
}

export type MetricsPage = { readonly text: string; readonly contentType: string }

export async function metricsPage(metrics: Metrics): Promise<MetricsPage> {
  // Loaded by the first who asks: the gateway listens sooner without it.
  const { AggregatorRegistry } = await import('prom-client')
  const families = [...callFamilies(metrics), ...httpFamilies(metrics), ...stateFamilies(metrics)]
  const registry = AggregatorRegistry.aggregate([families])
  return { text: await registry.metrics(), contentType: registry.contentType }
}

function callFamilies({ calls }: Metrics): Family[] {
  const cells = calls.cells()
  const tools = cells.filter(({ isTool }) => isTool)
  // A subscription has no end of its own, and what was refused has not run.
  const ran = tools.filter(({ status }) => status !== 'refused')
  const timed = cells.filter(({ isTool, tool }) => isTool || tool !== 'subscriptions/listen')
  const limited = [{ labels: {}, value: calls.rateLimited() }]
  const count = (labels: Labels, { took }: CallCell): Sample => ({ labels, value: took.count })
  return [
    counter('mcp_gateway_requests_total', 'Calls by server, tool (or method) and how they ended', cells.map((cell) => count({ server: cell.server, tool: cell.tool, status: cell.status }, cell))), // prettier-ignore
    histogram('mcp_gateway_request_duration_ms', 'Milliseconds that calls took, subscriptions left out', 1, timed.map(({ server, status, took }) => ({ labels: { server, status }, took }))), // prettier-ignore
    counter('mcp_tool_calls_total', 'Calls of tools', tools.map((cell) => count({ server: cell.server, tool: cell.tool }, cell))), // prettier-ignore
    histogram('mcp_tool_duration_seconds', 'Seconds that calls of tools took, refused ones left out', 1000, ran.map(({ server, tool, took }) => ({ labels: { server, tool }, took }))), // prettier-ignore
    counter('mcp_gateway_rate_limited_total', 'Calls over a limit of rate or concurrency', limited),
    counter('rate_limit_hits_total', 'The same as mcp_gateway_rate_limited_total', limited),
  ]
}

function httpFamilies({ http, authFailures, blockedAddresses }: Metrics): Family[] {
  const cells = http.cells().map(({ took, ...labels }: HttpCell) => ({ labels, took }))
  return [
    counter('http_requests_total', 'HTTP requests; 499: the client left before the answer', cells.map(({ labels, took }) => ({ labels, value: took.count }))), // prettier-ignore
    histogram('http_request_duration_seconds', 'Seconds until the answer to an HTTP request had ended', 1000, cells),
    gauge('http_active_requests', 'HTTP requests that are being answered, open event streams among them', http.active()), // prettier-ignore
    counter('mcp_gateway_auth_failures_total', 'Requests refused for their credentials', one(authFailures())),
    counter('mcp_gateway_ip_blocked_total', 'Requests refused for the address they came from', one(blockedAddresses())),
  ]
}

function stateFamilies({ moment, uptimeMs }: Metrics): Family[] {
  const { servers, audit } = moment()
  const active = servers.filter((status) => status === 'ready').length
  const failed = servers.filter((status) => status === 'backoff' || status === 'open').length
  const { rss, heapTotal, heapUsed, external } = process.memoryUsage()
  const memory = Object.entries({ rss, heapTotal, heapUsed, external })
  const auditFamilies = audit && [
    gauge('mcp_gateway_audit_entries_waiting', 'Entries on their way into the audit log', audit.waiting),
    counter('mcp_gateway_audit_entries_lost_total', 'Entries that could not be written', one(audit.lost)),
  ]
  return [
    gauge('mcp_gateway_active_servers', 'Servers with an open connection', active),
    gauge('mcp_servers_active', 'The same as mcp_gateway_active_servers', active),
    gauge('mcp_servers_failed', 'Servers that failed and are left alone for a while', failed),
    ...(auditFamilies ?? []),
    gauge('mcp_gateway_uptime_seconds', 'Seconds since the gateway started', uptimeMs() / 1000),
    gauge('process_uptime_seconds', 'Seconds since the process started', process.uptime()),
    family('process_memory_bytes', 'Memory of the process', 'gauge', memory.map(([type, value]) => ({ labels: { type }, value }))), // prettier-ignore
  ]
}

function family(name: string, help: string, type: Family['type'], values: readonly Sample[]): Family {
  return { name, help, type, aggregator: 'sum', values }
}

function one(value: number): Sample[] {
  return [{ labels: {}, value }]
}

function counter(name: string, help: string, values: readonly Sample[]): Family {
  return family(name, help, 'counter', values)
}

function gauge(name: string, help: string, value: number): Family {
  return family(name, help, 'gauge', one(value))
}

/** @param unit milliseconds of one */
function histogram(
  name: string,
  help: string,
  unit: number,
  cells: readonly { readonly labels: Labels; readonly took: Histogram }[],
): Family {
  const values = cells.flatMap(({ labels, took }): Sample[] => {
    let below = 0
    const buckets = BOUNDS_MS.map((bound, at) => {
      below += took.buckets[at] ?? 0
      return { metricName: `${name}_bucket`, labels: { ...labels, le: bound / unit }, value: below }
    })
    return [
      ...buckets,
      { metricName: `${name}_bucket`, labels: { ...labels, le: '+Inf' }, value: took.count },
      { metricName: `${name}_sum`, labels, value: took.sumMs / unit },
      { metricName: `${name}_count`, labels, value: took.count },
    ]
  })
  return family(name, help, 'histogram', values)
}

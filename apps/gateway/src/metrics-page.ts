/** The page of `GET /metrics` in the Prometheus text format 0.0.4. prom-client writes it, and escapes what is in the labels. */
import type { Metric } from 'prom-client'
import { addUp, BOUNDS_MS, type Histogram } from './histogram.ts'
import type { Metrics } from './metrics.ts'

type Labels = Readonly<Record<string, string | number>>
type Series = { readonly labels: Labels; readonly took: Histogram }
/** Labels that samples share are made a text once. */
type Sample = {
  readonly metricName?: string
  readonly sharedLabels?: Labels
  readonly labels?: Labels
  readonly value: number
}
type Family = {
  readonly name: string
  readonly help: string
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly values: readonly Sample[]
}

export type MetricsPage = { readonly text: string; readonly contentType: string }

export async function metricsPage(metrics: Metrics): Promise<MetricsPage> {
  // Loaded by the first who asks: the gateway listens sooner without it.
  const { Registry } = await import('prom-client')
  const registry = new Registry()
  for (const family of [...callFamilies(metrics), ...httpFamilies(metrics), ...stateFamilies(metrics)]) {
    // Counted already: of a metric of its own, prom-client asks only this when it writes.
    const metric = { ...family, get: async () => family } as unknown as Metric
    registry.registerMetric(metric)
  }
  return { text: await registry.metrics(), contentType: registry.contentType }
}

function callFamilies({ calls }: Metrics): Family[] {
  const cells = calls.cells()
  const tools = cells.filter(({ isTool }) => isTool)
  // A subscription has no end of its own, and what was refused has not run.
  const timed = cells.filter(({ isTool, tool }) => isTool || tool !== 'subscriptions/listen')
  const ran = tools.filter(({ status }) => status !== 'refused')
  const byAll = merged(cells.map(({ server, tool, status, took }) => ({ labels: { server, tool, status }, took })))
  const byStatus = merged(timed.map(({ server, status, took }) => ({ labels: { server, status }, took })))
  const byTool = merged(tools.map(({ server, tool, took }) => ({ labels: { server, tool }, took })))
  const byToolThatRan = merged(ran.map(({ server, tool, took }) => ({ labels: { server, tool }, took })))
  return [
    counters('mcp_gateway_requests_total', 'Calls by server, tool (or method) and how they ended', byAll),
    histogram('mcp_gateway_request_duration_ms', 'Milliseconds that calls took, subscriptions left out', byStatus, 1),
    counters('mcp_tool_calls_total', 'Calls of tools', byTool),
    histogram('mcp_tool_duration_seconds', 'Seconds that calls of tools took, refused ones left out', byToolThatRan, 1000), // prettier-ignore
    counter(
      'mcp_gateway_rate_limited_total',
      'Calls over a limit of rate or concurrency, or over the quota of a day',
      calls.rateLimited(),
    ),
    counter('rate_limit_hits_total', 'The same as mcp_gateway_rate_limited_total', calls.rateLimited()),
  ]
}

function httpFamilies({ http, authFailures, blockedAddresses }: Metrics): Family[] {
  const cells = http.cells().map(({ took, ...labels }) => ({ labels, took }))
  return [
    counters('http_requests_total', 'HTTP requests; 499: the client left before the answer', cells),
    histogram('http_request_duration_seconds', 'Seconds until the answer to an HTTP request had ended', cells, 1000),
    gauge('http_active_requests', 'HTTP requests that are being answered, open event streams among them', http.active()), // prettier-ignore
    counter('mcp_gateway_auth_failures_total', 'Requests refused for their credentials', authFailures()),
    counter('mcp_gateway_ip_blocked_total', 'Requests refused for the address they came from', blockedAddresses()),
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
    counter('mcp_gateway_audit_entries_lost_total', 'Entries that could not be written', audit.lost),
  ]
  return [
    gauge('mcp_gateway_active_servers', 'Servers with an open connection', active),
    gauge('mcp_servers_active', 'The same as mcp_gateway_active_servers', active),
    gauge('mcp_servers_failed', 'Servers that failed and are left alone for a while', failed),
    ...(auditFamilies ?? []),
    gauge('mcp_gateway_uptime_seconds', 'Seconds since the gateway started', uptimeMs() / 1000),
    gauge('process_uptime_seconds', 'Seconds since the process started', process.uptime()),
    {
      name: 'process_memory_bytes',
      help: 'Memory of the process',
      type: 'gauge',
      values: memory.map(([type, value]) => ({ labels: { type }, value })),
    },
  ]
}

/** Of the same labels once: two names may look the same without their secrets. */
function merged(series: readonly Series[]): Series[] {
  const groups = Map.groupBy(series, ({ labels }) => JSON.stringify(Object.values(labels)))
  return Array.from(groups.values()).flatMap(([first, ...more]) =>
    first === undefined ? [] : [{ ...first, took: addUp([first, ...more].map(({ took }) => took)) }],
  )
}

function gauge(name: string, help: string, value: number): Family {
  return { name, help, type: 'gauge', values: [{ value }] }
}

function counter(name: string, help: string, value: number): Family {
  return { name, help, type: 'counter', values: [{ value }] }
}

function counters(name: string, help: string, series: readonly Series[]): Family {
  return { name, help, type: 'counter', values: series.map(({ labels, took }) => ({ labels, value: took.count })) }
}

/** @param unit milliseconds of one */
function histogram(name: string, help: string, series: readonly Series[], unit: number): Family {
  const bounds = [...BOUNDS_MS.map((bound) => ({ le: bound / unit })), { le: '+Inf' }]
  const values = series.flatMap(({ labels: sharedLabels, took }): Sample[] => {
    let below = 0
    const buckets = bounds.map((labels, at) => {
      below = took.buckets[at] === undefined ? took.count : below + took.buckets[at]
      return { metricName: `${name}_bucket`, sharedLabels, labels, value: below }
    })
    return [
      ...buckets,
      { metricName: `${name}_sum`, sharedLabels, value: took.sumMs / unit },
      { metricName: `${name}_count`, sharedLabels, value: took.count },
    ]
  })
  return { name, help, type: 'histogram', values }
}

/**
 * The gateway's REST API, for commands that ask servers something. The running gateway is asked when it answers at the
 * configured address and there is a key for it; otherwise one is started in this process, for as long as the command runs.
 */
import { setTimeout } from 'node:timers/promises'
import { DEFAULT_TENANT, generateApiKey } from '@mcp-gateway/auth'
import { createLogger, startGateway, type Config } from '@mcp-gateway/gateway'
import type { Context } from './context.ts'
import { CliError } from './errors.ts'
import { closeOnSignal, signalExitCode } from './lifetime.ts'

export type GatewayApi = AsyncDisposable & {
  readonly url: string
  /** What it lets us in with; undefined when it asks for nothing. */
  readonly key: string | undefined
  /** false when it was started for this command. */
  readonly isRunning: boolean
  readonly get: <T>(path: string) => Promise<T>
  readonly post: <T>(path: string, body: object) => Promise<T>
}

/** Who answers at an address. */
export type Presence = { readonly who: 'gateway'; readonly version: string } | { readonly who: 'other' | 'nobody' }

export type ServerState = {
  readonly id: string
  readonly name: string
  readonly transport: string
  readonly status: string
  readonly protocolVersion?: string
  readonly serverInfo?: { readonly name?: string; readonly version?: string }
  readonly error?: string
}

export type Tool = { readonly name: string; readonly title?: string; readonly description?: string }

const PROBE_TIMEOUT_MS = 1500
const INTERRUPT_GRACE_MS = 500

export async function openGateway(context: Context, config: Config, key: string | undefined): Promise<GatewayApi> {
  const url = urlOf(config)
  const credentials = key ?? (context.env['MCP_GATEWAY_KEY'] || undefined)
  if (config.port !== 0 && (credentials !== undefined || config.auth.type === 'none')) {
    const { who } = await probe(url)
    if (who === 'gateway')
      return { ...client(url, credentials), isRunning: true, [Symbol.asyncDispose]: async () => {} }
  }
  return await startOwn(context, config)
}

/** The address clients on this machine use. */
export function urlOf({ host, port }: Pick<Config, 'host' | 'port'>): string {
  const reachable = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host
  return `http://${reachable.includes(':') && !reachable.startsWith('[') ? `[${reachable}]` : reachable}:${port}`
}

export async function probe(url: string): Promise<Presence> {
  try {
    const response = await fetch(`${url}/health`, { signal: AbortSignal.timeout(PROBE_TIMEOUT_MS), redirect: 'error' })
    const body = (await response.json()) as { status?: unknown; version?: unknown } | null
    if (typeof body?.status !== 'string' || typeof body.version !== 'string') return { who: 'other' }
    return { who: 'gateway', version: body.version }
  } catch (error) {
    // fetch says "fetch failed" and keeps the reason; a reply that is not JSON is somebody else's.
    const refused = error instanceof TypeError && isRefused(error.cause)
    return { who: refused ? 'nobody' : 'other' }
  }
}

async function startOwn(context: Context, config: Config): Promise<GatewayApi> {
  const { key, hash } = generateApiKey()
  const caller = { roles: [], tenantId: DEFAULT_TENANT, attributes: {} }
  const own = { id: 'cli', key: hash, name: 'mcp-gateway', consumerId: 'cli', ...caller, enabled: true }
  const gateway = await startGateway({
    // For as long as one command: what the operator tries out at the terminal is not the gateway's history.
    config: {
      ...config,
      audit: { ...config.audit, enabled: false },
      // The operator at the terminal is nobody's caller, and wrote these.
      policies: undefined,
      rateLimit: undefined,
      ipFilter: undefined,
      host: '127.0.0.1',
      port: 0,
      auth: { type: 'api-key', keys: [own], oidc: [], scopes: [] },
      tls: undefined,
    },
    logger: createLogger('silent'),
    version: context.version,
  })
  const interrupted = new AbortController()
  const signals = closeOnSignal(async () => {
    interrupted.abort()
    // The gateway lets calls end in peace; whoever interrupts a command wants it to end now. What is left is killed on exit.
    await Promise.race([gateway.close(), setTimeout(INTERRUPT_GRACE_MS)])
  })
  void signals.closed.then((signal) => process.exit(signalExitCode(signal)))
  const dispose = async (): Promise<void> => {
    await gateway.close()
    signals[Symbol.dispose]()
  }
  return { ...client(gateway.url, key, interrupted.signal), isRunning: false, [Symbol.asyncDispose]: dispose }
}

function client(
  url: string,
  key: string | undefined,
  signal?: AbortSignal,
): Pick<GatewayApi, 'url' | 'key' | 'get' | 'post'> {
  const send = async <T>(path: string, init: RequestInit): Promise<T> => {
    const headers = { ...(key !== undefined && { authorization: `Bearer ${key}` }), 'content-type': 'application/json' }
    const request = { ...init, headers, redirect: 'error' as const, ...(signal && { signal }) }
    const response = await fetch(`${url}${path}`, request).catch(async (cause: unknown) => {
      // The process ends as soon as the servers have; there is nobody left to tell.
      if (signal?.aborted === true) await new Promise(() => {})
      const reason = cause instanceof Error && cause.cause instanceof Error ? cause.cause.message : String(cause)
      throw new CliError('CLI_GATEWAY_UNREACHABLE', `the gateway at ${url} cannot be reached: ${reason}`, { cause })
    })
    const body: unknown = await response.json().catch(() => undefined)
    if (response.ok) return body as T
    throw refusal(url, response.status, body)
  }
  return {
    url,
    key,
    get: (path) => send(path, { method: 'GET' }),
    post: (path, body) => send(path, { method: 'POST', body: JSON.stringify(body) }),
  }
}

function refusal(url: string, status: number, body: unknown): CliError {
  const { code, message = `HTTP ${status}`, requestId } = Object(Object(body).error) as Record<string, string>
  const data = { status, gatewayCode: code, requestId }
  if (status === 401) {
    const hint = 'Give its key with --key or MCP_GATEWAY_KEY, or make one with `mcp-gateway keys create`.'
    return new CliError('CLI_CREDENTIALS_REFUSED', `the gateway at ${url} refused: ${message}`, { hint, data })
  }
  return new CliError(status === 404 ? 'CLI_NOT_FOUND' : 'CLI_FAILED', message, { data })
}

function isRefused(cause: unknown): boolean {
  if (cause instanceof AggregateError) return cause.errors.every(isRefused)
  return cause instanceof Error && 'code' in cause && cause.code === 'ECONNREFUSED'
}

// What is measured, and how each is started. Ceiling and floor frame the gateway: nothing on node:http beats the
// first, and nothing that puts a stdio child behind HTTP beats the second.
import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Endpoint } from './load.ts'
import { callBody, callHeaders, FIRST_ID, openLegacySession, problemWith } from './messages.ts'
import type { Traffic } from './messages.ts'
import { spawnServer, waitUntilReady } from './server.ts'
import type { Command, Server } from './server.ts'

const ROOT = join(import.meta.dirname, '..')
export const API_KEY = 'gw_bench_0123456789abcdef0123456789abcdef'

export const TARGET_NAMES = [
  'ceiling',
  'floor',
  'gateway',
  'gateway-guarded',
  'gateway-inspected',
  'gateway-audited',
  'gateway-audited-async',
  'two-cores-audited',
  'two-cores-audited-async',
  'gateway-legacy',
  'modern-to-legacy',
  'legacy-to-modern',
] as const
export type TargetName = (typeof TARGET_NAMES)[number]

type Target = {
  readonly describe: string
  readonly traffic: Traffic
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly sessions: boolean
  readonly command: (folder: string) => Promise<Command>
}

const own = (file: string) => (folder: string) =>
  Promise.resolve<Command>({ args: [join(import.meta.dirname, 'servers', file)], folder, portVariable: 'PORT' })

const headers = { authorization: `Bearer ${API_KEY}` }
// The very request that the gateway gets: a shorter one would let the frame look faster than the job is.
const bare = { path: '/', traffic: 'modern', headers, sessions: false } as const
const gateway = { path: '/mcp/server/echo', headers, command: gatewayCommand() }

export const targets: Readonly<Record<TargetName, Target>> = {
  ceiling: { ...bare, describe: 'node:http, JSON echo', command: own('ceiling.ts') },
  floor: { ...bare, describe: 'node:http + stdio echo child', command: own('floor.ts') },
  gateway: { ...gateway, describe: 'API key, stdio echo, 2026-07-28', traffic: 'modern', sessions: false },
  'gateway-guarded': {
    ...gateway,
    describe: 'the same with 50 policies, a limit, address lists and redaction',
    traffic: 'modern',
    sessions: false,
    command: guardedCommand(),
  },
  'gateway-inspected': {
    ...gateway,
    describe: 'gateway-guarded with the guard of tool definitions',
    traffic: 'modern',
    sessions: false,
    command: guardedCommand({ toolGuard: { definitions: 'block', results: 'allow' } }),
  },
  'gateway-audited': {
    ...gateway,
    describe: 'the same with the audit log, the answer waits for the disk',
    traffic: 'modern',
    sessions: false,
    command: auditedCommand('sync'),
  },
  'gateway-audited-async': {
    ...gateway,
    describe: 'the same with the audit log, the answer does not wait',
    traffic: 'modern',
    sessions: false,
    command: auditedCommand('async'),
  },
  'two-cores-audited': {
    ...gateway,
    describe: 'gateway-audited on both cores, the second shared with the client: a thread writes the log',
    traffic: 'modern',
    sessions: false,
    command: onBothCores(auditedCommand('sync')),
  },
  'two-cores-audited-async': {
    ...gateway,
    describe: 'gateway-audited-async on both cores',
    traffic: 'modern',
    sessions: false,
    command: onBothCores(auditedCommand('async')),
  },
  'modern-to-legacy': {
    ...gateway,
    describe: '2026-07-28, the child speaks 2025-11-25 only',
    traffic: 'modern',
    sessions: false,
    command: gatewayCommand('--legacy'),
  },
  'legacy-to-modern': {
    ...gateway,
    describe: 'one 2025-06-18 session, the child speaks 2026-07-28 only',
    traffic: 'legacy',
    sessions: true,
    command: gatewayCommand('--modern'),
  },
  'gateway-legacy': { ...gateway, describe: 'the same, one 2025-06-18 session', traffic: 'legacy', sessions: true },
}

export type Running = AsyncDisposable & { readonly server: Server; readonly endpoint: Endpoint }

/** Starts a target in a folder of its own; it answers its first call before this resolves. */
export async function start(name: TargetName): Promise<Running> {
  await using resources = new AsyncDisposableStack()
  const server = resources.use(await launch(name))
  const { path, traffic, headers, sessions } = targets[name]
  let endpoint: Endpoint = { port: server.port, path, traffic, headers }
  const probe = async (): Promise<boolean> => {
    const session = sessions ? await openLegacySession(`${server.url}${path}`, headers) : {}
    endpoint = { ...endpoint, headers: { ...headers, ...session } }
    return answersOneCall(server, endpoint)
  }
  await waitUntilReady(server, probe, 50)
  const kept = resources.move()
  return { server, endpoint, [Symbol.asyncDispose]: () => kept.disposeAsync() }
}

/** Only the process, as a cold start wants it. */
export async function launch(name: TargetName): Promise<Server> {
  const folder = await mkdtemp(join(tmpdir(), 'mcp-gateway-bench-'))
  return await spawnServer(await targets[name].command(folder))
}

async function answersOneCall({ url }: Server, { path, traffic, headers }: Endpoint): Promise<boolean> {
  const response = await fetch(`${url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...callHeaders[traffic], ...headers },
    body: callBody(traffic, FIRST_ID),
  })
  const problem = problemWith(FIRST_ID, response.status, await response.text())
  if (problem !== undefined) throw new Error(problem)
  return true
}

/** JSON is YAML, so the configuration file needs no writer. */
function gatewayCommand(...echoArgs: readonly string[]) {
  return (folder: string): Promise<Command> => gatewayWith(folder, [echoServer('echo', ...echoArgs)])
}

function auditedCommand(mode: 'sync' | 'async') {
  return (folder: string): Promise<Command> => gatewayWith(folder, [echoServer('echo')], { mode })
}

/** As it is deployed, but for the client on the same machine. */
function onBothCores(command: Target['command']): Target['command'] {
  return async (folder) => ({ ...(await command(folder)), onBothCores: true })
}

/** A bucket so deep that the load never meets its end, but is counted all the same. */
function guardedCommand(more: object = {}) {
  const conditions = [{ param: 'customerId', operator: 'eq', caller: 'attributes.customerId' }]
  const policies = Array.from({ length: 50 }, (_, index) => ({
    id: `p${index}`,
    roles: [index % 5 === 0 ? 'all' : `role-${index}`],
    rules: [
      { server: `s${index % 10}`, tool: 'get_*', action: 'allow', conditions },
      index === 0 ? { server: 'echo', tool: '*', action: 'allow' } : { tool: `delete_${index}_*`, action: 'deny' },
    ],
  }))
  const guards = {
    policies,
    rateLimit: { limits: [{ id: 'all', per: ['caller', 'tool'], rate: '10000/s', burst: 1_000_000_000 }] },
    ipFilter: { allow: ['127.0.0.0/8', '::1/128'] },
    redaction: [{ id: 'pii', on: ['arguments', 'results'], detectors: 'all', fields: ['**.password'] }],
    ...more,
  }
  return (folder: string): Promise<Command> => gatewayWith(folder, [echoServer('echo')], { enabled: false }, guards)
}

export function echoServer(id: string, ...args: readonly string[]): object {
  return { id, command: process.execPath, args: [join(import.meta.dirname, 'servers/echo-stdio.ts'), ...args] }
}

/** Without the audit log unless it is what is measured. */
export async function gatewayWith(
  folder: string,
  servers: readonly object[],
  audit: object = { enabled: false },
  more: object = {},
): Promise<Command> {
  const file = join(folder, 'gateway.yaml')
  const config = {
    auth: { type: 'api-key', keys: [{ id: 'b', key: API_KEY, name: 'b', consumerId: 'b', roles: ['all'] }] },
    discoveryThreshold: 100_000,
    audit,
    servers,
    ...more,
  }
  await writeFile(file, JSON.stringify(config, undefined, 2))
  return {
    args: [join(ROOT, 'apps/cli/dist/main.js'), 'serve', '--config', file],
    folder,
    portVariable: 'MCP_GATEWAY_PORT',
  }
}

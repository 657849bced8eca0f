/** Builds the parts from the configuration and holds them together. The only file that knows every package. */
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { createAuthenticator, type Authenticator, type Caller } from '@mcp-gateway/auth'
import { baseEnvironment, createHttpEndpoint, killAllGroups, type HttpEndpoint } from '@mcp-gateway/wire'
import { allServersBackend } from './all-servers.ts'
import type { Config } from './config.ts'
import type { CallContext } from './context.ts'
import { createGuard } from './guard.ts'
import { createHttpServer } from './http-server.ts'
import { createLogger, type Logger } from './log.ts'
import type { Pipeline } from './pipeline.ts'
import { createRecorder } from './recorder.ts'
import { describeFailure } from './replies.ts'
import type { Rest } from './routes.ts'
import { createServer, type Server } from './server.ts'
import { singleServerBackend } from './single-server.ts'

export type GatewayOptions = {
  readonly config: Config
  /** @default pino on stderr at `config.log.level` */
  readonly logger?: Logger | undefined
  readonly version?: string
  /** What children may know of the gateway's own environment. @default where programs and the home directory are */
  readonly environment?: Readonly<Record<string, string>>
}

export type RunningGateway = AsyncDisposable & {
  readonly url: string
  readonly port: number
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/** How long calls in flight may take to end when the gateway stops. */
const DRAIN_MS = 5000

/** Listens when it resolves. Servers are started by their first use. Rejects with the system's error when the port is taken. */
export async function startGateway(options: GatewayOptions): Promise<RunningGateway> {
  const { config } = options
  const logger = options.logger ?? createLogger(config.log.level)
  const version = options.version ?? '0.0.0'
  const clientInfo = { name: 'mcp-gateway', version }
  const environment = options.environment ?? baseEnvironment(process.env)
  const calls = createRecorder(logger)
  const pipeline: Pipeline = { authenticate: authenticatorOf(config), recorder: calls.record }
  let stopping = false

  const servers = config.servers
    .filter((server) => server.enabled)
    .map((server) => createServer({ config: server, limits: config.limits, environment, clientInfo, logger }))
  const endpoints = createEndpoints(servers, pipeline, config, logger, clientInfo)

  let rest: Promise<Rest> | undefined
  const openRest = async (): Promise<Rest> => {
    // Loaded by the first REST request: the gateway listens sooner without it.
    const { createRest } = await import('./routes.ts')
    return createRest({
      servers: () => servers,
      isReady: () => !stopping,
      pipeline,
      version,
      limits: config.limits,
      logger,
    })
  }

  const http = createHttpServer({
    guard: createGuard(config),
    pipeline,
    endpoint: (serverId) => endpoints.get(serverId),
    rest: () => (rest ??= openRest()),
    isStopping: () => stopping,
    logger,
  })
  await new Promise<void>((resolve, reject) => {
    http.once('error', reject)
    http.listen(config.port, config.host, resolve)
  })
  const { port } = http.address() as AddressInfo
  const url = `http://${config.host.includes(':') ? `[${config.host}]` : config.host}:${port}`
  logger.info({ url, servers: servers.length }, 'listening')

  // An exit that skips `close`, an uncaught error say, still takes the children along.
  process.on('exit', killAllGroups)

  let closing: Promise<void> | undefined
  const close = async (): Promise<void> => {
    stopping = true
    for (const until = Date.now() + DRAIN_MS; calls.inFlight() > 0 && Date.now() < until;) await sleep(20)
    const closed = new Promise<void>((resolve) => http.close(() => resolve()))
    await Promise.all([...endpoints.values()].map((endpoint) => endpoint.close()))
    await Promise.all(servers.map((server) => server.close()))
    http.closeAllConnections()
    await closed
    process.off('exit', killAllGroups)
    logger.info('stopped')
  }
  return {
    url,
    port,
    close: () => (closing ??= close()),
    [Symbol.asyncDispose]: () => (closing ??= close()),
  }
}

function createEndpoints(
  servers: readonly Server[],
  pipeline: Pipeline,
  config: Config,
  logger: Logger,
  clientInfo: { readonly name: string; readonly version: string },
): ReadonlyMap<string | undefined, HttpEndpoint<CallContext>> {
  const common = {
    limits: config.limits,
    describeFailure,
    onFailure: (error: unknown, context: CallContext | undefined) => {
      const requestId = context?.requestId
      const { code } = describeFailure(error)
      if (code === 'WIRE_INTERNAL') logger.error({ requestId, err: error }, 'internal error')
      else logger.debug({ requestId, code }, 'request failed')
    },
  }
  const all = allServersBackend({ servers: () => servers, clientInfo, pipeline, logger })
  return new Map<string | undefined, HttpEndpoint<CallContext>>([
    [undefined, createHttpEndpoint({ ...common, backend: all })],
    ...servers.map(
      (server) =>
        [server.id, createHttpEndpoint({ ...common, backend: singleServerBackend(server, pipeline) })] as const,
    ),
  ])
}

function authenticatorOf({ auth }: Config): Authenticator['authenticate'] {
  if (auth.type === 'none') return () => ANYBODY
  return createAuthenticator({ keys: auth.keys }).authenticate
}

const ANYBODY: Caller = { id: 'anonymous', name: 'anonymous', keyId: '', roles: [], scheme: 'none' }

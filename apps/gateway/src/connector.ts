/** Opens connections to one server, as its configuration says now. */
import {
  isAboutCredentials,
  isObject,
  mapExchange,
  openConnection,
  type ClientInfo,
  type Connection,
  type JsonObject,
  type JsonRpcResponse,
  type Upstream,
} from '@mcp-gateway/wire'
import type { Config, ServerConfig } from './config.ts'
import type { Asker } from './context.ts'
import type { Logger } from './log.ts'
import { openUpstream } from './open-upstream.ts'
import { startError } from './start-error.ts'
import type { UpstreamTokens } from './upstream-tokens.ts'

/** @param initialize goes straight to a legacy session, as the client with these params */
export type Connector = (attribution: 'newest' | 'sole', asker: Asker, initialize?: JsonObject) => Promise<Connection>

export type ConnectorOptions = {
  readonly config: () => ServerConfig
  readonly tokens: () => UpstreamTokens
  readonly limits: () => Config['limits']
  readonly environment: Readonly<Record<string, string>>
  readonly clientInfo: ClientInfo
  readonly log: Logger
  readonly onTools?: OnTools | undefined
}

/** Told the names in each list of tools that a server gives, whoever asked for it. */
export type OnTools = (server: string, names: readonly string[]) => void

export function createConnector(options: ConnectorOptions): Connector {
  const { config, tokens, limits, environment, clientInfo, log, onTools } = options
  const connect = async (
    attribution: 'newest' | 'sole',
    asker: Asker,
    initialize: JsonObject | undefined,
    probe: boolean,
  ): Promise<Connection> => {
    const current = config()
    const { startTimeout, timeout } = current
    const { maxConcurrentCalls, maxLineBytes, maxDepth } = limits()
    const credentials = tokens().open(asker)
    const signal = AbortSignal.timeout(startTimeout)
    let ended: Promise<string> | undefined
    try {
      const connection = await openConnection(
        (onMessage) => {
          const upstream = openUpstream(current, {
            attribution,
            environment,
            credentials,
            onMessage,
            limits: { idleTimeoutMs: timeout, maxInFlight: maxConcurrentCalls, maxLineBytes, maxDepth },
            onDiagnostic: (text) => log.debug({ text }, 'server diagnostic'),
          })
          ended = upstream.closed
          return onTools === undefined ? upstream : watched(upstream, (names) => onTools(current.id, names))
        },
        { clientInfo, signal, probe, initialize },
      )
      const { era, protocolVersion, serverInfo } = connection.profile
      log.info({ era, protocolVersion, serverInfo }, 'server ready')
      return connection
    } catch (cause) {
      // The server is well: it is we who are not let in.
      if (isAboutCredentials(cause)) throw cause
      const failure = await startError(current.id, cause, ended, signal.aborted ? startTimeout : undefined)
      // Some legacy servers end when their first message is not initialize: they get a second start without the probe.
      if (failure.mayBeProbe && probe && current.transport === 'stdio')
        return connect(attribution, asker, initialize, false)
      throw failure.error
    }
  }
  return (attribution, asker, initialize) => connect(attribution, asker, initialize, initialize === undefined)
}

function watched(upstream: Upstream, onNames: (names: readonly string[]) => void): Upstream {
  const look = (response: JsonRpcResponse): JsonRpcResponse => {
    const { tools } = isObject(response.result) ? response.result : {}
    const names = Array.isArray(tools) ? tools.map((tool) => (isObject(tool) ? tool['name'] : undefined)) : []
    onNames(names.filter((name) => typeof name === 'string'))
    return response
  }
  return {
    ...upstream,
    request(message, options) {
      const exchange = upstream.request(message, options)
      return message.method === 'tools/list' ? mapExchange(exchange, { onResponse: look }) : exchange
    },
  }
}

/** `stdio`: the gateway for clients that only speak stdio. stdout carries JSON-RPC and nothing else, ever. */
import type { Readable, Writable } from 'node:stream'
import { createHttpUpstream, serveStdio } from '@mcp-gateway/wire'
import { loadConfig } from '../config-file.ts'
import type { Context } from '../context.ts'
import { CliError } from '../errors.ts'
import { openGateway } from '../gateway-api.ts'

export type StdioOptions = {
  /** One server with its names unchanged; without it all servers, names as `server__tool`. */
  readonly server?: string
  /** A gateway elsewhere; without it the one of the configuration, started here when it doesn't run. */
  readonly url?: string
  readonly key?: string
}

export type Pipes = { readonly input: Readable; readonly output: Writable }

/** The gateway has timeouts of its own; the bridge must not cut a call that it lets run. */
const NO_TIMEOUT_MS = 24 * 3_600_000

/** Serves until the client closes its end. */
export async function bridgeStdio(context: Context, options: StdioOptions, { input, output }: Pipes): Promise<void> {
  await using gateway = await openEndpoint(context, options)
  const { url, key } = gateway
  const path = options.server === undefined ? '/mcp' : `/mcp/server/${options.server}`
  const reason = await serveStdio({
    input,
    output,
    onDiagnostic: context.note,
    connect: (onMessage) =>
      createHttpUpstream({
        url: `${url}${path}`,
        headers: key === undefined ? {} : { authorization: `Bearer ${key}` },
        limits: { idleTimeoutMs: NO_TIMEOUT_MS },
        onMessage,
        onDiagnostic: context.note,
      }),
  })
  context.note(`mcp-gateway stdio: ${reason}`)
}

async function openEndpoint(
  context: Context,
  options: StdioOptions,
): Promise<AsyncDisposable & { readonly url: string; readonly key: string | undefined }> {
  const key = options.key ?? (context.env['MCP_GATEWAY_KEY'] || undefined)
  const url = options.url ?? (context.env['MCP_GATEWAY_URL'] || undefined)
  if (url !== undefined) {
    if (!URL.canParse(url))
      throw new CliError('CLI_USAGE', `--url must be an address like http://127.0.0.1:3100, not "${url}"`)
    return { url: url.replace(/\/(?:mcp)?\/?$/, ''), key, [Symbol.asyncDispose]: async () => {} }
  }
  const { config } = loadConfig(context)
  if (options.server !== undefined && !config.servers.some(({ id }) => id === options.server)) {
    throw new CliError('CLI_NOT_FOUND', `there is no server "${options.server}" in the configuration`)
  }
  return openGateway(context, config, key)
}

/** Starts servers and lists their tools: what `servers test` and `doctor` both do. */
import type { GatewayApi, ServerState, Tool } from './gateway-api.ts'
import { CliError } from './errors.ts'

export type ServerTest = {
  readonly id: string
  readonly ok: boolean
  readonly elapsedMs: number
  readonly tools?: number
  readonly protocolVersion?: string
  readonly serverInfo?: ServerState['serverInfo']
  readonly error?: string
}

/** All servers side by side, or the one with this id. */
export async function testServers(gateway: GatewayApi, id?: string): Promise<readonly ServerTest[]> {
  const { servers } = await gateway.get<{ servers: readonly ServerState[] }>('/api/servers')
  const chosen = id === undefined ? servers : servers.filter((server) => server.id === id)
  if (id !== undefined && chosen.length === 0) {
    const hint = `There is ${servers.map((server) => server.id).join(', ') || 'none that is enabled'}.`
    throw new CliError('CLI_NOT_FOUND', `there is no server "${id}"`, { hint })
  }
  return await Promise.all(chosen.map((server) => testOne(gateway, server.id)))
}

async function testOne(gateway: GatewayApi, id: string): Promise<ServerTest> {
  const started = performance.now()
  const elapsed = (): number => Math.round(performance.now() - started)
  try {
    const state = await gateway.get<ServerState>(`/api/servers/${id}`)
    const { tools } = await gateway.get<{ tools: readonly Tool[] }>(`/api/servers/${id}/tools`)
    const { protocolVersion, serverInfo } = state
    return {
      id,
      ok: true,
      elapsedMs: elapsed(),
      tools: tools.length,
      ...(protocolVersion !== undefined && { protocolVersion }),
      ...(serverInfo !== undefined && { serverInfo }),
    }
  } catch (error) {
    return { id, ok: false, elapsedMs: elapsed(), error: error instanceof Error ? error.message : String(error) }
  }
}

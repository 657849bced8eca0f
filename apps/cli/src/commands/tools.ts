/** `tools list|call`: what an agent would see and do, from the terminal. */
import { loadConfig } from '../config-file.ts'
import { reply, table, type Context } from '../context.ts'
import { CliError } from '../errors.ts'
import { openGateway, type ServerState, type Tool } from '../gateway-api.ts'

type Content = {
  readonly type: string
  readonly text?: string
  readonly mimeType?: string
  readonly data?: string
  readonly uri?: string
  readonly resource?: { readonly uri?: string; readonly text?: string }
}
type CallResult = {
  readonly content?: readonly Content[]
  readonly structuredContent?: unknown
  readonly isError?: boolean
}

export async function listTools(
  context: Context,
  options: { readonly server?: string; readonly key?: string },
): Promise<void> {
  const { config } = loadConfig(context)
  await using gateway = await openGateway(context, config, options.key)
  const ids =
    options.server === undefined
      ? (await gateway.get<{ servers: readonly ServerState[] }>('/api/servers')).servers.map(({ id }) => id)
      : [options.server]
  const found = await Promise.allSettled(
    ids.map((id) => gateway.get<{ tools: readonly Tool[] }>(`/api/servers/${encodeURIComponent(id)}/tools`)),
  )
  const tools: (Tool & { readonly server: string })[] = []
  const failed: { readonly server: string; readonly message: string }[] = []
  for (const [index, result] of found.entries()) {
    const server = ids[index] ?? ''
    if (result.status === 'fulfilled') tools.push(...result.value.tools.map((tool) => ({ server, ...tool })))
    else if (options.server !== undefined) throw result.reason
    else failed.push({ server, message: String(Object(result.reason).message) })
  }
  const rows = tools.map(({ server, name, description, title }) => [
    server,
    name,
    firstLine(description ?? title ?? ''),
  ])
  const text = rows.length === 0 ? 'There are no tools.' : table([['SERVER', 'TOOL', 'WHAT IT DOES'], ...rows])
  reply(context, { tools, failed }, text)
  if (failed.length > 0) {
    // One broken server does not hide the others' tools, and does not pass for success either.
    throw new CliError('CLI_FAILED', failed.map(({ server, message }) => `${server}: ${message}`).join('\n'))
  }
}

export async function callTool(
  context: Context,
  options: {
    readonly server: string
    readonly tool: string
    readonly input: string | undefined
    readonly key?: string
  },
): Promise<void> {
  const args = parseArguments(options.input === '-' ? await context.readStdin() : (options.input ?? '{}'))
  const { config } = loadConfig(context)
  await using gateway = await openGateway(context, config, options.key)
  const path = `/api/servers/${encodeURIComponent(options.server)}/tools/${encodeURIComponent(options.tool)}`
  const result = await gateway.post<CallResult>(path, { arguments: args })
  reply(context, result, describe(result))
  if (result.isError === true) throw new CliError('CLI_FAILED', `the tool ${options.tool} reported an error`)
}

function parseArguments(text: string): object {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value
  } catch {
    // Said below.
  }
  throw new CliError('CLI_USAGE', 'the arguments must be a JSON object', { hint: `For example '{"message":"hello"}'.` })
}

function describe({ content = [], structuredContent }: CallResult): string {
  const parts = content.map((item) => {
    if (item.type === 'text') return item.text ?? ''
    if (item.type === 'resource') return item.resource?.text ?? `[resource ${item.resource?.uri ?? ''}]`
    if (item.type === 'resource_link') return `[resource ${item.uri ?? ''}]`
    return `[${item.type} ${item.mimeType ?? ''}, ${item.data?.length ?? 0} characters of base64; see it with --json]`
  })
  if (parts.length === 0 && structuredContent !== undefined) return JSON.stringify(structuredContent, null, 2)
  return parts.join('\n')
}

function firstLine(text: string): string {
  const [line = ''] = text.trim().split('\n')
  return line.length > 80 ? `${line.slice(0, 79)}…` : line
}

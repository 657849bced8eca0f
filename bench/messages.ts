// What the load says, in both eras of MCP, and what counts as the right answer to it. Every call carries
// its own number in the text it wants echoed, so an answer that went to the wrong caller is caught too.

/** Every id has this many digits: the length of a request never changes, so its head can be written once. */
export const FIRST_ID = 100_000_000

const MODERN = '2026-07-28'
const LEGACY = '2025-06-18'
const CLIENT = { name: 'bench', version: '1.0.0' }
const ACCEPT = 'application/json, text/event-stream'

export type Traffic = 'modern' | 'legacy'

/** Headers of a `tools/call`; the modern revision mirrors method and name there (SEP-2243). */
export const callHeaders: Readonly<Record<Traffic, Readonly<Record<string, string>>>> = {
  modern: { accept: ACCEPT, 'mcp-protocol-version': MODERN, 'mcp-method': 'tools/call', 'mcp-name': 'echo' },
  legacy: { accept: ACCEPT, 'mcp-protocol-version': LEGACY },
}

export function callBody(traffic: Traffic, id: number): string {
  const params = { name: 'echo', arguments: { text: textOf(id) } }
  const envelope = {
    'io.modelcontextprotocol/protocolVersion': MODERN,
    'io.modelcontextprotocol/clientInfo': CLIENT,
    'io.modelcontextprotocol/clientCapabilities': {},
  }
  return JSON.stringify({
    jsonrpc: '2.0',
    id,
    method: 'tools/call',
    params: traffic === 'modern' ? { ...params, _meta: envelope } : params,
  })
}

/** What is wrong with an answer, or undefined when it is the echo of call `id`. */
export function problemWith(id: number, status: number, body: string): string | undefined {
  if (status !== 200) return `call ${id}: status ${status}: ${body.slice(0, 300)}`
  // The cheap look first; whoever spaces or orders JSON another way is still right, and costs the client a parse.
  if (body.includes(`"id":${id},`) && body.includes(`"text":"${textOf(id)}"`) && !body.includes('"error"'))
    return undefined
  return isEcho(id, body) ? undefined : `call ${id}: not its echo: ${body.slice(0, 300)}`
}

/** Opens one legacy session (initialize, initialized) and returns the header that names it. */
export async function openLegacySession(
  url: string,
  headers: Readonly<Record<string, string>>,
): Promise<Record<string, string>> {
  const post = async (message: object, session: Record<string, string> = {}): Promise<Response> => {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...callHeaders.legacy, ...headers, ...session },
      body: JSON.stringify({ jsonrpc: '2.0', ...message }),
    })
    const text = await response.text()
    if (!response.ok) throw new Error(`opening a session: status ${response.status}: ${text.slice(0, 300)}`)
    return response
  }
  const opened = await post({
    id: 1,
    method: 'initialize',
    params: { protocolVersion: LEGACY, capabilities: {}, clientInfo: CLIENT },
  })
  const id = opened.headers.get('mcp-session-id')
  if (id === null) throw new Error('initialize was answered without an mcp-session-id')
  await post({ method: 'notifications/initialized' }, { 'mcp-session-id': id })
  return { 'mcp-session-id': id }
}

function textOf(id: number): string {
  return `bench-echo-payload-${id}`
}

type Answer = { id?: unknown; result?: { content?: { text?: unknown }[] } }

function isEcho(id: number, body: string): boolean {
  // An SSE answer carries its one message on the last data line.
  const json = body.startsWith('{')
    ? body
    : (body
        .match(/^data: ?(.*)$/gm)
        ?.at(-1)
        ?.replace(/^data: ?/, '') ?? '')
  try {
    const { id: answered, result } = JSON.parse(json) as Answer
    return answered === id && result?.content?.[0]?.text === textOf(id)
  } catch {
    return false
  }
}

// Sixty-four connections that never stop calling: most of them modern, some a legacy session, some through `/mcp`.
// Every call carries a text of its own, and anything but that text in the answer is a problem.
import { setTimeout as sleep } from 'node:timers/promises'

import { modernRequest, openSession, type McpSession, type Reply } from './mcp-client.ts'

export type Problem = { readonly server: string; readonly what: string }

export type Load = AsyncDisposable & {
  readonly calls: () => number
  /** Stops calling, waits for what is in flight, and says what went wrong. */
  stop(): Promise<readonly Problem[]>
}

const CONNECTIONS = 64
/** One call in five is still running when the next configuration arrives. */
const SLOW_EVERY = 5
const SLOW_MS = 60
const REFUSED_PAUSE_MS = 20

type Call = (tool: string, args: object) => Promise<Reply>

export function startLoad(port: number, servers: readonly string[]): Load {
  const problems: Problem[] = []
  const stopping = new AbortController()
  let calls = 0

  const work = async (connection: number): Promise<void> => {
    const server = servers[connection % servers.length] as string
    const call = await callerOf(port, server, Math.floor(connection / servers.length) % 4)
    while (!stopping.signal.aborted) {
      const text = `${server} ${connection} ${calls++}`
      const isSlow = calls % SLOW_EVERY === 0
      const problem = await call(isSlow ? 'slow' : 'echo', isSlow ? { text, ms: SLOW_MS } : { text }).then(
        (reply) => (isEcho(reply, text) ? undefined : JSON.stringify(reply.error ?? reply)),
        (error: unknown) => String(error),
      )
      if (problem === undefined) continue
      problems.push({ server, what: problem })
      // A refusal is cheap: without a pause those would be most of the load.
      await sleep(REFUSED_PAUSE_MS)
    }
  }
  const workers = Promise.all(Array.from({ length: CONNECTIONS }, (_, connection) => work(connection)))
  const stop = async (): Promise<readonly Problem[]> => {
    stopping.abort()
    await workers
    return problems
  }
  return { calls: () => calls, stop, [Symbol.asyncDispose]: async () => void (await stop()) }
}

/** One in four is a legacy session, one in four comes through `/mcp`. */
async function callerOf(port: number, server: string, kind: number): Promise<Call> {
  const path = `/mcp/server/${server}`
  const modern =
    (at: string, prefix: string): Call =>
    async (tool, args) =>
      (await modernRequest(port, at, 'tools/call', { name: `${prefix}${tool}`, arguments: args })).reply
  if (kind === 0) return legacy(port, path)
  return kind === 1 ? modern('/mcp', `${server}__`) : modern(path, '')
}

async function legacy(port: number, path: string): Promise<Call> {
  let session: McpSession | undefined
  return async (tool, args) => {
    session ??= await openSession(port, path)
    const { status, reply } = await session.call(tool, args)
    // The session went with its server; the next call opens another, as 2025-11-25 has it.
    if (status === 404) session = undefined
    return reply
  }
}

function isEcho({ result }: Reply, text: string): boolean {
  const [content] = (result?.['content'] ?? []) as { readonly text?: string }[]
  return content?.text === text
}

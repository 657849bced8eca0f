/** JSON-RPC 2.0 over HTTP, as far as `createRpcAccountReader` needs it. */
import type { RpcRequest } from './rpc.ts'

export type HttpRpcOptions = {
  /** Often has a key in it: it is in no error. */
  readonly url: string
  /** @default 4000 */
  readonly timeoutMs?: number
  /** More headers, e.g. `{ authorization: 'Bearer …' }`. */
  readonly headers?: Readonly<Record<string, string>>
  readonly fetch?: typeof globalThis.fetch
}

/** The largest contract is 24 KiB, 48 in hex. */
const MAX_ANSWER_BYTES = 1024 * 1024

export function createHttpRpc({
  url,
  timeoutMs = 4000,
  headers,
  fetch = globalThis.fetch,
}: HttpRpcOptions): RpcRequest {
  return async ({ method, params }) => {
    const response = await fetch(url, {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/json' },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
      // Whoever is redirected to has not been configured, and would get the key.
      redirect: 'error',
      signal: AbortSignal.timeout(timeoutMs),
    })
    const answer = await readAnswer(response)
    if (typeof answer !== 'object' || answer === null)
      throw new Error(`the RPC server answered HTTP ${response.status}`)
    if ('error' in answer) throw toError(answer.error)
    if (!response.ok || !('result' in answer)) throw new Error(`the RPC server answered HTTP ${response.status}`)
    return answer.result
  }
}

async function readAnswer({ body, status }: Response): Promise<unknown> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of body ?? []) {
    size += chunk.length
    if (size > MAX_ANSWER_BYTES) throw new Error(`the RPC server's answer is longer than ${MAX_ANSWER_BYTES} bytes`)
    chunks.push(chunk)
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'))
  } catch {
    throw new Error(`the RPC server answered HTTP ${status} without JSON`)
  }
}

function toError(error: unknown): Error {
  const { code, message } = typeof error === 'object' && error !== null ? (error as Record<string, unknown>) : {}
  return Object.assign(new Error(`the RPC server says: ${String(message).slice(0, 200)}`), { code })
}

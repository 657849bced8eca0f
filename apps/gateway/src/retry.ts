/** A second attempt for requests that may run twice, when the connection was lost before the server had said anything. */
import { WireError, type Exchange } from '@mcp-gateway/wire'

export async function* retryOnce(send: () => Exchange | Promise<Exchange>): Exchange {
  let said = false
  try {
    const exchange = await send()
    try {
      for (;;) {
        const next = await exchange.next()
        if (next.done) return next.value
        said = true
        yield next.value
      }
    } finally {
      await exchange.return(undefined as never)
    }
  } catch (error) {
    if (said || !isLost(error)) throw error
  }
  return yield* await send()
}

function isLost(error: unknown): boolean {
  return error instanceof WireError && error.code === 'WIRE_UPSTREAM_CLOSED'
}

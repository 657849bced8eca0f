// Calls a healthy server at a fixed rate from a process of its own: what the test does meanwhile is not in the figures,
// and a call that is late does not keep the next from being made (no coordinated omission).
import { modernRequest } from './mcp-client.ts'

export type Sample = { readonly at: number; readonly ms: number; readonly problem?: string }

const [port, path = '', everyMs] = process.argv.slice(2)
let samples: Sample[] = []
let calls = 0

async function call(): Promise<void> {
  const at = performance.now()
  const text = `neighbour-${calls++}`
  const problem = await modernRequest(Number(port), path, 'tools/call', { name: 'echo', arguments: { text } }).then(
    ({ reply }) => (JSON.stringify(reply.result ?? '').includes(text) ? undefined : JSON.stringify(reply)),
    (error: unknown) => String(error),
  )
  samples.push({ at, ms: performance.now() - at, ...(problem !== undefined && { problem }) })
}

setInterval(() => void call(), Number(everyMs))
process.on('message', () => {
  process.send?.(samples)
  samples = []
})
// The test is gone, or has seen enough.
process.on('disconnect', () => process.exit(0))

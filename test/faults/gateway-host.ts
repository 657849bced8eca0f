// The gateway in a process of its own, so that its memory and its latency are not the test's. Told what to do over IPC;
// its log goes to stderr, one JSON object a line. Only what `@mcp-gateway/gateway` exports is used.
import { setTimeout as sleep } from 'node:timers/promises'

import { createLogger, parseConfig, startGateway, type RunningGateway } from '@mcp-gateway/gateway'

export type HostRequest = { readonly id: number } & (
  | { readonly do: 'start'; readonly config: string }
  | { readonly do: 'reload'; readonly config: string }
  | { readonly do: 'settle' }
  | { readonly do: 'close' }
)

/** `value` is the port after `start` and the bytes that are resident after `settle`. */
export type HostReply = {
  readonly id: number
  readonly value?: number
  readonly startMs?: number
  readonly error?: string
}

let gateway: RunningGateway | undefined

async function answer(request: HostRequest): Promise<Omit<HostReply, 'id'>> {
  if (request.do === 'start') return startWith(request.config)
  if (request.do === 'settle') return { value: await residentBytes() }
  if (request.do === 'reload') await gateway?.reload(parseConfig(request.config, { env: {} }))
  else await gateway?.close()
  return {}
}

async function startWith(text: string): Promise<Omit<HostReply, 'id'>> {
  const from = performance.now()
  const config = parseConfig(text, { env: {} })
  gateway = await startGateway({ config, logger: createLogger(config.log.level) })
  return { value: gateway.port, startMs: performance.now() - from }
}

/**
 * What stays resident once garbage is gone: `last-resort` gives V8's spare pages back, too, which are no leak. Twice, because
 * finalizers of the first round free more.
 */
async function residentBytes(): Promise<number> {
  for (let round = 0; round < 2; round += 1) {
    globalThis.gc?.({ type: 'major', execution: 'sync', flavor: 'last-resort' })
    await sleep(50)
  }
  return process.memoryUsage.rss()
}

process.on('message', (request: HostRequest) => {
  answer(request).then(
    (reply) => process.send?.({ id: request.id, ...reply }),
    (error: unknown) => process.send?.({ id: request.id, error: String(error) }),
  )
})
// The test is gone, however it ended.
process.on('disconnect', () => process.exit(1))

// The mirror behind HTTP, in this process: JSON when there is one message to say, an event stream when there are more.
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

import { createMirror, type Era } from './mirror.ts'

export async function startMirrorHttp(era: Era): Promise<AsyncDisposable & { readonly url: string }> {
  const answer = createMirror(era)
  const handle = async (req: IncomingMessage, res: ServerResponse): Promise<void> => {
    if (req.method !== 'POST') return void res.writeHead(405).end()
    const chunks: Buffer[] = []
    for await (const chunk of req as AsyncIterable<Buffer>) chunks.push(chunk)
    const texts: string[] = []
    for await (const text of answer(Buffer.concat(chunks).toString('utf8'))) texts.push(text)
    const [only, second] = texts
    if (only === undefined) res.writeHead(202).end()
    else if (second === undefined) res.writeHead(200, { 'content-type': 'application/json' }).end(only)
    else {
      res.writeHead(200, { 'content-type': 'text/event-stream' })
      res.end(texts.map((text) => `event: message\ndata: ${text}\n\n`).join(''))
    }
    return undefined
  }
  const server = createServer((req, res) => void handle(req, res)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`,
    async [Symbol.asyncDispose]() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}

// A client that stops reading must not fill the gateway's memory, whatever its server goes on to say.
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { echoServer, gatewayWith, KEYS, modern, openSession, send } from './support.ts'

const MB = 1024 * 1024
const COUNT = 800_000
const SIZE = 1000

describe('a client that does not read', () => {
  it.each(['modern', 'legacy'])('%s: 800 MB of progress cost the gateway a fraction of that', async (era) => {
    const gateway = await gatewayWith({ auth: KEYS, servers: [echoServer('one')] })
    try {
      const params = { name: 'flood', arguments: { count: COUNT, size: SIZE }, _meta: { progressToken: 1 } }
      const request = modern('tools/call', params)
      const session = era === 'legacy' ? await openSession(gateway, '/mcp/server/one') : undefined
      const headers = session?.headers ?? request.headers
      const body =
        era === 'legacy' ? JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params }) : request.body
      await send(gateway, '/mcp/server/one', modern('tools/call', { name: 'echo' }))
      const before = process.memoryUsage.rss()
      const socket = connect(gateway.port, '127.0.0.1')
      socket.pause()
      const head = Object.entries({ ...headers, 'content-length': String(Buffer.byteLength(body)) })
      socket.write(`POST /mcp/server/one HTTP/1.1\r\nhost: 127.0.0.1\r\n${head.map(([key, value]) => `${key}: ${value}\r\n`).join('')}\r\n${body}`) // prettier-ignore
      let peak = 0
      for (let at = 0; at < 60; at += 1) {
        await sleep(50)
        peak = Math.max(peak, process.memoryUsage.rss() - before)
      }
      expect(peak).toBeLessThan(400 * MB)
      // Somebody who reads is served meanwhile.
      const other = await send(gateway, '/mcp/server/one', modern('tools/call', { name: 'echo' }))
      expect(other.status).toBe(200)
      socket.destroy()
    } finally {
      await gateway.close()
    }
  })
})

// A server of 2025-11-25 that asks its client a question in the middle of a call. It knows nothing of 2026-07-28.
import { createInterface } from 'node:readline'

const say = (message) => process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`)
const book = {
  name: 'book',
  description: 'Books a table',
  inputSchema: { type: 'object', properties: { at: { type: 'string' } } },
}
const question = {
  message: 'For how many?',
  requestedSchema: { type: 'object', properties: { people: { type: 'integer' } } },
}
let booking

createInterface({ input: process.stdin }).on('line', (line) => {
  const { id, method, params, result } = JSON.parse(line)
  if (method === 'initialize') {
    const { protocolVersion } = params
    say({ id, result: { protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 'old', version: '1.0.0' } } })
  } else if (method === 'tools/list') say({ id, result: { tools: [book] } })
  else if (method === 'tools/call') {
    booking = { id, at: params.arguments.at }
    say({ id: 'people', method: 'elicitation/create', params: question })
  } else if (id === 'people') {
    const text = `A table for ${result.content.people} at ${booking.at}`
    say({ id: booking.id, result: { content: [{ type: 'text', text }] } })
  } else if (id !== undefined) say({ id, error: { code: -32601, message: 'Method not found' } })
})

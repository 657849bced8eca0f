// The ceiling: bare node:http that parses the call and writes the echo, with nothing in between.
// No MCP server or gateway on node:http can answer faster than this.
import { createServer } from 'node:http'

type Call = { id: number; params: { arguments: { text: string } } }

createServer((request, response) => {
  if (request.url === '/live') {
    response.end()
    return
  }
  const chunks: Buffer[] = []
  request.on('data', (chunk: Buffer) => chunks.push(chunk))
  request.on('end', () => {
    const call = JSON.parse(Buffer.concat(chunks).toString('utf8')) as Call
    const result = { content: [{ type: 'text', text: call.params.arguments.text }] }
    const body = JSON.stringify({ jsonrpc: '2.0', id: call.id, result })
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) })
    response.end(body)
  })
}).listen(Number(process.env['PORT']), '127.0.0.1')

// Entries a second from a SQLite log to each sink, to its durable end, in batches of 256. Receivers are in this process.
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer as createHttpServer } from 'node:http'
import { createServer, type AddressInfo, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createFollower, openLog, type SecurityEvent, type Sink } from '@mcp-gateway/audit-chain'
import { createCefFormat } from '@mcp-gateway/audit-chain/formats/cef'
import { createCsvSink } from '@mcp-gateway/audit-chain/sinks/csv'
import { createJsonlSink } from '@mcp-gateway/audit-chain/sinks/jsonl'
import { createS3Sink } from '@mcp-gateway/audit-chain/sinks/s3'
import { createSyslogSink } from '@mcp-gateway/audit-chain/sinks/syslog'
import { createWebhookSink } from '@mcp-gateway/audit-chain/sinks/webhook'
import { createSqliteStore, openSqlite } from '@mcp-gateway/audit-chain/stores/sqlite'
import { call, ORIGIN, rateOf } from './workload.ts'

export async function measureExports(count: number, say: (text: string) => void): Promise<void> {
  const home = mkdtempSync(join(tmpdir(), 'audit-chain-exports-'))
  const database = openSqlite(join(home, 'audit.db'))
  const store = createSqliteStore({ database })
  await using log = openLog({ store, origin: ORIGIN })
  await rateOf(count, 512, (i) => log.append(call(i, true)))

  const http = createHttpServer((request, response) => void request.resume().once('end', () => response.end()))
  const collector = createServer((socket) => void socket.resume())
  const [httpPort, syslogPort] = [await listen(http), await listen(collector)]
  const endpoint = `http://127.0.0.1:${httpPort}`
  const describe = (): SecurityEvent => ({ operation: 'call', outcome: 'success', severity: 'info' })
  const record = createCefFormat({ product: { vendor: 'v', name: 'n', version: '1' }, describe })
  const credentials = { accessKeyId: 'bench', secretAccessKey: 'bench' }
  const sinks: Record<string, Sink> = {
    jsonl: createJsonlSink({ path: join(home, 'out.jsonl') }),
    csv: createCsvSink({ path: join(home, 'out.csv'), fields: ['args', 'response'] }),
    webhook: createWebhookSink({ url: endpoint, secret: 'bench', deadLetterFile: join(home, 'dead.jsonl') }),
    s3: createS3Sink({ bucket: 'b', region: 'us-east-1', endpoint, credentials }),
    syslog: createSyslogSink({ host: '127.0.0.1', port: syslogPort, transport: { type: 'tcp' }, record, describe, hostname: 'h' }), // prettier-ignore
  }
  for (const [name, sink] of Object.entries(sinks)) {
    const start = performance.now()
    await createFollower({ store, origin: ORIGIN, name, handle: sink.write }).catchUp(new AbortController().signal)
    say(`export ${name}: ${Math.round(count / ((performance.now() - start) / 1000))} entries/s`)
    await sink[Symbol.asyncDispose]()
  }
  http.closeAllConnections()
  http.close()
  collector.close()
  database.close()
  rmSync(home, { recursive: true })
}

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

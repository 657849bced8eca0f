// A closed loop: each connection keeps exactly one call in flight over a keep-alive socket, and no answer
// goes unchecked. The rate that comes out is the rate the server can hold, not one the client chose.
import { connect } from 'node:net'
import { createResponseReader } from './http-response.ts'
import type { HttpResponse } from './http-response.ts'
import { callBody, callHeaders, FIRST_ID, problemWith } from './messages.ts'
import type { Traffic } from './messages.ts'

/** A server that answers without end is stopped by whoever asked; one that never answers, by this. */
const STALL_MS = 15_000

export type Endpoint = {
  readonly port: number
  readonly path: string
  readonly traffic: Traffic
  readonly headers: Readonly<Record<string, string>>
}

export type Loop = {
  readonly endpoint: Endpoint
  readonly connections: number
  /** Told of every answer; false lets that connection rest. */
  readonly onAnswer: (latencyUs: number, problem: string | undefined) => boolean
}

/** Runs until every connection was told to rest. Rejects when the server stops answering altogether. */
export async function closedLoop({ endpoint, connections, onAnswer }: Loop): Promise<void> {
  const write = requestWriter(endpoint)
  const stop = new AbortController()
  let nextId = FIRST_ID
  let answers = 0
  let seen = -1
  const watch = setInterval(() => {
    if (answers === seen) stop.abort(new Error(`no answer for ${STALL_MS / 1000} s`))
    seen = answers
  }, STALL_MS)
  const connection = async (): Promise<void> => {
    for (let again = true; again;) {
      again = await talk(endpoint.port, stop.signal, {
        next: () => {
          const id = nextId++
          return { id, bytes: write(id) }
        },
        onAnswer: (latencyUs, problem) => {
          answers += 1
          return onAnswer(latencyUs, problem)
        },
      })
    }
  }
  try {
    await Promise.all(Array.from({ length: connections }, connection))
  } finally {
    clearInterval(watch)
    stop.abort()
  }
}

type Talk = {
  readonly next: () => { id: number; bytes: string }
  readonly onAnswer: Loop['onAnswer']
}

/** One socket's life; resolves to true when the server closed it, as it may between answers, with more to say. */
function talk(port: number, signal: AbortSignal, { next, onAnswer }: Talk): Promise<boolean> {
  const { promise, resolve, reject } = Promise.withResolvers<boolean>()
  const read = createResponseReader()
  const socket = connect({ host: '127.0.0.1', port, noDelay: true })
  let id = 0
  let sentAt = 0
  const send = (): void => {
    const call = next()
    id = call.id
    sentAt = performance.now()
    socket.write(call.bytes, 'latin1')
  }
  const answered = ({ status, headers, body }: HttpResponse): void => {
    const again = onAnswer((performance.now() - sentAt) * 1000, problemWith(id, status, body))
    if (again && headers.get('connection') !== 'close') send()
    else resolve(again)
  }
  const give = (): void => reject(signal.reason)
  signal.addEventListener('abort', give, { once: true })
  socket.on('connect', send)
  socket.on('error', reject)
  socket.on('end', () => reject(new Error(`the server closed the connection instead of answering call ${id}`)))
  socket.on('data', (chunk) => {
    try {
      const response = read(chunk)
      if (response !== undefined) answered(response)
    } catch (error) {
      reject(error)
    }
  })
  return promise.finally(() => {
    signal.removeEventListener('abort', give)
    socket.removeAllListeners('end').destroy()
  })
}

/** Writes the whole request once and splits it where the id stands, so a call costs one join. */
function requestWriter({ port, path, traffic, headers }: Endpoint): (id: number) => string {
  const body = callBody(traffic, FIRST_ID)
  const fields = {
    host: `127.0.0.1:${port}`,
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    ...callHeaders[traffic],
    ...headers,
  }
  const head = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`)
  const parts = `POST ${path} HTTP/1.1\r\n${head.join('')}\r\n${body}`.split(String(FIRST_ID))
  return (id) => parts.join(String(id))
}

/** Bytes to and from an HTTP client. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { WireError, wireReplies, type Reply } from '../errors.ts'
import { errorResponse, type JsonObject, type JsonRpcId, type JsonRpcResponse } from '../json-rpc.ts'
import { SSE_HEADERS } from '../sse.ts'

/** Turns a failure into a status and a JSON-RPC error; an app replaces it to add codes of its own. */
export type Failure = Reply & {
  readonly code: string
  readonly message: string
  readonly data?: JsonObject | undefined
  /** `WWW-Authenticate`: what makes a client sign in. With it, `status` is the answer's even where the call had begun. */
  readonly challenge?: string | undefined
}
export type DescribeFailure<C = unknown> = (error: unknown, context: C) => Failure

/** What isn't a WireError is a bug: its text may hold anything, so it is not sent. */
export function describeWireFailure(error: unknown): Failure {
  if (!(error instanceof WireError)) {
    return { ...wireReplies.WIRE_INTERNAL, code: 'WIRE_INTERNAL', message: 'internal error' }
  }
  return { ...wireReplies[error.code], code: error.code, message: error.message, data: error.data }
}

export function failureResponse(failure: Failure, id: JsonRpcId | undefined): JsonRpcResponse {
  return errorResponse(id, failure.rpcCode, failure.message, { ...failure.data, code: failure.code })
}

/** The HTTP status of a response that a server gave to a dispatched request (2026-07-28, streamable-http, status codes). */
export function statusOf(response: JsonRpcResponse): number {
  switch (response.error?.code) {
    case -32601:
      return 404
    case -32020:
    case -32021:
    case -32022:
      return 400
    default:
      return 200
  }
}

/** Names and values in turns. */
export type ResponseHeaders = readonly string[] | undefined

export function sendJson(res: ServerResponse, status: number, body: unknown, headers?: ResponseHeaders): void {
  const text = JSON.stringify(body)
  const fields = ['content-type', 'application/json', 'content-length', String(Buffer.byteLength(text))]
  if (headers !== undefined) fields.push(...headers)
  res.writeHead(status, fields)
  res.end(text)
}

export function sendEmpty(res: ServerResponse, status: number, headers: ResponseHeaders): void {
  res.writeHead(status, [...(headers ?? [])]).end()
}

export function startEvents(res: ServerResponse, headers: ResponseHeaders): void {
  res.writeHead(200, [...SSE_HEADERS, ...(headers ?? [])])
}

export function sendFailure(res: ServerResponse, failure: Failure, id?: JsonRpcId, headers?: ResponseHeaders): void {
  if (res.headersSent || res.destroyed) {
    res.destroy()
    return
  }
  if (failure.challenge !== undefined) res.setHeader('www-authenticate', failure.challenge)
  if (failure.status === 405) res.setHeader('allow', 'POST')
  // The rest of a refused body is not read: the connection is of no more use.
  if (failure.status === 413) res.setHeader('connection', 'close')
  sendJson(res, failure.status, failureResponse(failure, id), headers)
}

/** The body. The adversary sends more than the limit, or stops in the middle: both end here. */
export function readBody(req: IncomingMessage, maxBodyBytes: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    if (Number(req.headers['content-length'] ?? 0) > maxBodyBytes) {
      reject(new WireError('WIRE_BODY_TOO_LARGE', `the body exceeds ${maxBodyBytes} bytes`))
      return
    }
    const chunks: Buffer[] = []
    let size = 0
    req.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size <= maxBodyBytes) chunks.push(chunk)
      else {
        req.pause()
        reject(new WireError('WIRE_BODY_TOO_LARGE', `the body exceeds ${maxBodyBytes} bytes`))
      }
    })
    // Not `once`, which makes two objects more: each of them comes once.
    req.on('end', () => resolve(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks)))
    req.on('error', (cause) => reject(new WireError('WIRE_BODY_INCOMPLETE', 'the body ended early', { cause })))
  })
}

export function requireJson(req: IncomingMessage): void {
  const type = req.headers['content-type']
  if (type === undefined || !/^application\/json\s*(?:;|$)/i.test(type)) {
    throw new WireError('WIRE_UNSUPPORTED_MEDIA_TYPE', 'Content-Type must be application/json')
  }
}

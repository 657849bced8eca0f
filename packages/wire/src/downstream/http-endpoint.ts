/**
 * A Streamable HTTP endpoint for clients of both eras (MCP 2026-07-28 and 2025-11-25, basic/transports).
 * Who may come in at all (Host, Origin, credentials) is decided before; here the protocol is.
 */
import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Backend, Context } from '../backend.ts'
import { eraOf } from '../era.ts'
import { WireError } from '../errors.ts'
import { checkHeaders, checkNotificationHeaders, single } from '../headers.ts'
import {
  isObject,
  isRequest,
  isResponse,
  type JsonRpcId,
  type JsonRpcMessage,
  type JsonRpcRequest,
} from '../json-rpc.ts'
import { defaultParseLimits, parseBody, type ParseLimits } from '../parse.ts'
import { describeWireFailure, readBody, requireJson, sendEmpty, sendFailure, sendJson, type DescribeFailure } from './http-reply.ts' // prettier-ignore
import { createLegacySession, type LegacySession } from './legacy-session.ts'
import { defaultStreamLimits, type StreamLimits } from './legacy-stream.ts'
import { streamModern } from './modern-stream.ts'
import { createSessionTable, defaultSessionLimits, type SessionLimits } from './session-table.ts'

export type EndpointLimits = ParseLimits & SessionLimits & StreamLimits & { readonly maxBodyBytes: number }

export const defaultEndpointLimits: EndpointLimits = {
  ...defaultParseLimits,
  ...defaultSessionLimits,
  ...defaultStreamLimits,
  maxBodyBytes: 4 * 1024 * 1024,
}

export type EndpointOptions<C extends Context> = {
  readonly backend: Backend<C>
  readonly limits?: Partial<EndpointLimits>
  /** @default describeWireFailure */
  readonly describeFailure?: DescribeFailure<C>
  /** Told of every failure, before it is answered. Without a context it belongs to no request: a session that was swept. */
  readonly onFailure?: (error: unknown, context: C | undefined) => void
  /** Unguessable. @default crypto.randomUUID */
  readonly newSessionId?: () => string
}

export type HttpEndpoint<C extends Context> = {
  readonly sessions: () => number
  /** Answers the request. Never rejects. */
  handle(req: IncomingMessage, res: ServerResponse, context: C): Promise<void>
  close(): Promise<void>
}

export function createHttpEndpoint<C extends Context>(options: EndpointOptions<C>): HttpEndpoint<C> {
  const limits = { ...defaultEndpointLimits, ...options.limits }
  const describeFailure = options.describeFailure ?? describeWireFailure
  const newSessionId = options.newSessionId ?? randomUUID
  const { backend } = options
  const table = createSessionTable<LegacySession<C>>(limits, (error) => options.onFailure?.(error, undefined))

  const findSession = (req: IncomingMessage, context: C): LegacySession<C> => {
    const id = single(req.headers, 'mcp-session-id')
    if (id === undefined)
      throw new WireError('WIRE_SESSION_REQUIRED', 'Mcp-Session-Id is missing; start with initialize')
    const session = table.find(id, context.principal)
    if (session === undefined) throw new WireError('WIRE_SESSION_UNKNOWN', 'the session is unknown or has ended')
    return session
  }

  const openSession = async (message: JsonRpcRequest, res: ServerResponse, context: C): Promise<void> => {
    table.reserve(context.principal)
    const id = newSessionId()
    const peer = {
      send: (outgoing: JsonRpcMessage) => session.send(outgoing),
      close: () => void table.remove(session).catch((error: unknown) => options.onFailure?.(error, context)),
    }
    const session = createLegacySession<C>({
      id,
      principal: context.principal,
      backend: backend.openSession(context, peer),
      limits,
      describeFailure,
    })
    // Entered before the handshake, so that sessions in the making count towards the limit.
    table.add(session)
    try {
      const response = await session.initialize(message, context)
      if (isObject(response.result)) res.setHeader('mcp-session-id', id)
      else await table.remove(session)
      sendJson(res, 200, response, context.responseHeaders)
    } catch (error) {
      await table.remove(session)
      throw error
    }
  }

  const modern = (
    message: JsonRpcMessage,
    req: IncomingMessage,
    res: ServerResponse,
    context: C,
  ): Promise<void> | void => {
    if (isRequest(message)) {
      checkHeaders(message, req.headers)
      const abort = new AbortController()
      const exchange = backend.request(message, context, { signal: abort.signal, headers: req.headers })
      return streamModern(message.id, exchange, res, abort, limits, context.responseHeaders, (error) => {
        options.onFailure?.(error, context)
        return describeFailure(error, context)
      })
    }
    if (isResponse(message))
      throw new WireError('WIRE_INVALID_MESSAGE', 'responses are not posted in this protocol version')
    checkNotificationHeaders(message, req.headers)
    sendEmpty(res, 202, context.responseHeaders)
    return backend.notify(message, context)
  }

  const post = (
    body: ReturnType<typeof parseBody>,
    req: IncomingMessage,
    res: ServerResponse,
    context: C,
  ): Promise<void> | void => {
    if (!Array.isArray(body)) {
      const message = body as JsonRpcMessage
      if (!isResponse(message) && eraOf(message, single(req.headers, 'mcp-protocol-version')) === 'modern') {
        return modern(message, req, res, context)
      }
      if (isRequest(message) && message.method === 'initialize' && req.headers['mcp-session-id'] === undefined) {
        return openSession(message, res, context)
      }
    } else if (body.some((item) => !isResponse(item) && eraOf(item, undefined) === 'modern')) {
      throw new WireError('WIRE_INVALID_MESSAGE', 'a batch may not hold messages of protocol version 2026-07-28')
    }
    return findSession(req, context).post(body, req, res, context)
  }

  const handle = async (req: IncomingMessage, res: ServerResponse, context: C): Promise<void> => {
    let id: JsonRpcId | undefined
    try {
      if (req.method === 'POST') {
        requireJson(req)
        const bytes = await (context.body === undefined ? readBody(req, limits.maxBodyBytes) : context.body())
        const body = parseBody(bytes.toString('utf8'), limits)
        if ('id' in body && isRequest(body)) ({ id } = body)
        await post(body, req, res, context)
      } else if (req.method === 'GET' && req.headers['mcp-session-id'] !== undefined)
        findSession(req, context).listen(req, res, context)
      else if (req.method === 'DELETE' && req.headers['mcp-session-id'] !== undefined) {
        await table.remove(findSession(req, context))
        sendEmpty(res, 200, context.responseHeaders)
      } else throw new WireError('WIRE_METHOD_NOT_ALLOWED', 'only POST is answered here without a session')
    } catch (error) {
      options.onFailure?.(error, context)
      sendFailure(res, describeFailure(error, context), id, context.responseHeaders)
    }
  }

  return { sessions: table.size, handle, close: table.close }
}

/** Every failure of this package. Codes are stable; messages are for people and may change. */
export type WireErrorCode =
  | 'WIRE_PARSE_ERROR'
  | 'WIRE_INVALID_MESSAGE'
  | 'WIRE_TOO_DEEP'
  | 'WIRE_BODY_TOO_LARGE'
  | 'WIRE_BODY_INCOMPLETE'
  | 'WIRE_BATCH_TOO_LARGE'
  | 'WIRE_UNSUPPORTED_MEDIA_TYPE'
  | 'WIRE_METHOD_NOT_ALLOWED'
  | 'WIRE_HEADER_MISMATCH'
  | 'WIRE_ENVELOPE_INVALID'
  | 'WIRE_UNSUPPORTED_PROTOCOL_VERSION'
  | 'WIRE_SESSION_REQUIRED'
  | 'WIRE_SESSION_UNKNOWN'
  | 'WIRE_SESSION_LIMIT'
  | 'WIRE_STREAM_CONFLICT'
  | 'WIRE_DUPLICATE_REQUEST_ID'
  | 'WIRE_METHOD_NOT_FOUND'
  | 'WIRE_UNKNOWN_NAME'
  | 'WIRE_INVALID_PARAMS'
  | 'WIRE_CLIENT_REFUSED'
  | 'WIRE_REQUEST_STATE_INVALID'
  | 'WIRE_CAPABILITY_MISSING'
  | 'WIRE_CALL_LIMIT'
  | 'WIRE_UPSTREAM_START_FAILED'
  | 'WIRE_UPSTREAM_CLOSED'
  | 'WIRE_NOT_SENT'
  | 'WIRE_UPSTREAM_TIMEOUT'
  | 'WIRE_UPSTREAM_REFUSED'
  | 'WIRE_UPSTREAM_UNAUTHORIZED'
  | 'WIRE_UPSTREAM_CREDENTIALS'
  | 'WIRE_UPSTREAM_PROTOCOL'
  | 'WIRE_BUFFER_FULL'
  | 'WIRE_CANCELLED'
  | 'WIRE_INTERNAL'

/** `data` goes into the JSON-RPC error beside the code, e.g. `supported` and `requested` of -32022. */
export type WireErrorOptions = ErrorOptions & { readonly data?: Readonly<Record<string, unknown>> }

/** Thrown by this package. Test `code`, not the class or the message. */
export class WireError extends Error {
  override readonly name = 'WireError'
  readonly code: WireErrorCode
  readonly data: Readonly<Record<string, unknown>> | undefined
  constructor(code: WireErrorCode, message: string, options?: WireErrorOptions) {
    super(message, options)
    this.code = code
    this.data = options?.data
  }
}

/** How a failure leaves over HTTP and JSON-RPC. */
export type Reply = { readonly status: number; readonly rpcCode: number }

/**
 * One row for every code: HTTP status and JSON-RPC error code. The codes -32020 to -32022 are those of MCP 2026-07-28;
 * -32000 and -32001 are what deployed clients expect from the session rules of 2025-11-25 (a 404 makes them initialise again).
 */
export const wireReplies: Readonly<Record<WireErrorCode, Reply>> = {
  WIRE_PARSE_ERROR: { status: 400, rpcCode: -32700 },
  WIRE_INVALID_MESSAGE: { status: 400, rpcCode: -32600 },
  WIRE_TOO_DEEP: { status: 400, rpcCode: -32600 },
  WIRE_BODY_TOO_LARGE: { status: 413, rpcCode: -32600 },
  WIRE_BODY_INCOMPLETE: { status: 400, rpcCode: -32700 },
  WIRE_BATCH_TOO_LARGE: { status: 413, rpcCode: -32600 },
  WIRE_UNSUPPORTED_MEDIA_TYPE: { status: 415, rpcCode: -32000 },
  WIRE_METHOD_NOT_ALLOWED: { status: 405, rpcCode: -32000 },
  WIRE_HEADER_MISMATCH: { status: 400, rpcCode: -32020 },
  WIRE_ENVELOPE_INVALID: { status: 400, rpcCode: -32602 },
  WIRE_UNSUPPORTED_PROTOCOL_VERSION: { status: 400, rpcCode: -32022 },
  WIRE_SESSION_REQUIRED: { status: 400, rpcCode: -32000 },
  WIRE_SESSION_UNKNOWN: { status: 404, rpcCode: -32001 },
  WIRE_SESSION_LIMIT: { status: 503, rpcCode: -32000 },
  WIRE_STREAM_CONFLICT: { status: 409, rpcCode: -32000 },
  WIRE_DUPLICATE_REQUEST_ID: { status: 400, rpcCode: -32600 },
  WIRE_METHOD_NOT_FOUND: { status: 404, rpcCode: -32601 },
  WIRE_UNKNOWN_NAME: { status: 200, rpcCode: -32602 },
  WIRE_INVALID_PARAMS: { status: 200, rpcCode: -32602 },
  WIRE_CLIENT_REFUSED: { status: 200, rpcCode: -32603 },
  WIRE_REQUEST_STATE_INVALID: { status: 200, rpcCode: -32602 },
  WIRE_CAPABILITY_MISSING: { status: 400, rpcCode: -32021 },
  WIRE_CALL_LIMIT: { status: 503, rpcCode: -32000 },
  WIRE_UPSTREAM_START_FAILED: { status: 502, rpcCode: -32603 },
  WIRE_UPSTREAM_CLOSED: { status: 502, rpcCode: -32603 },
  WIRE_NOT_SENT: { status: 502, rpcCode: -32603 },
  WIRE_UPSTREAM_TIMEOUT: { status: 504, rpcCode: -32603 },
  WIRE_UPSTREAM_REFUSED: { status: 502, rpcCode: -32603 },
  // Never a 401: the client would take it for a refusal of its own credentials and throw them away.
  WIRE_UPSTREAM_UNAUTHORIZED: { status: 502, rpcCode: -32603 },
  WIRE_UPSTREAM_CREDENTIALS: { status: 503, rpcCode: -32603 },
  WIRE_UPSTREAM_PROTOCOL: { status: 502, rpcCode: -32603 },
  WIRE_BUFFER_FULL: { status: 503, rpcCode: -32603 },
  WIRE_CANCELLED: { status: 499, rpcCode: -32800 },
  WIRE_INTERNAL: { status: 500, rpcCode: -32603 },
}

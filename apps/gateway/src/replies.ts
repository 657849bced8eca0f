/** The one table from a failure's stable code to what a client gets: HTTP status and JSON-RPC error. A missing row does not compile. */
import { AuthError, authStatuses, type AuthErrorCode } from '@mcp-gateway/auth'
import { PolicyError, type PolicyErrorCode } from '@mcp-gateway/policy'
import { WireError, wireReplies, type Failure, type Reply, type WireErrorCode } from '@mcp-gateway/wire'
import { GatewayError, type GatewayErrorCode } from './errors.ts'

export type ErrorCode = WireErrorCode | AuthErrorCode | PolicyErrorCode | GatewayErrorCode

const authReplies = Object.fromEntries(
  Object.entries(authStatuses).map(([code, status]) => [code, { status, rpcCode: -32000 }]),
) as Readonly<Record<AuthErrorCode, Reply>>

export const replies: Readonly<Record<ErrorCode, Reply>> = {
  ...wireReplies,
  ...authReplies,
  POLICY_DENIED: { status: 403, rpcCode: -32000 },
  POLICY_UNKNOWN_TOOL: { status: 404, rpcCode: -32602 },
  POLICY_RATE_LIMITED: { status: 429, rpcCode: -32000 },
  POLICY_CONCURRENCY_LIMITED: { status: 429, rpcCode: -32000 },
  POLICY_QUOTA_REACHED: { status: 429, rpcCode: -32000 },
  POLICY_LIMIT_STORE_UNAVAILABLE: { status: 503, rpcCode: -32000 },
  POLICY_ADDRESS_DENIED: { status: 403, rpcCode: -32000 },
  POLICY_ADDRESS_UNREADABLE: { status: 403, rpcCode: -32000 },
  POLICY_VALUE_TOO_DEEP: { status: 400, rpcCode: -32602 },
  POLICY_VALUE_TOO_LARGE: { status: 413, rpcCode: -32602 },
  POLICY_TOOL_BLOCKED: { status: 403, rpcCode: -32000 },
  // A document is read when the gateway starts; nobody's call meets this one.
  POLICY_DOCUMENT_INVALID: { status: 500, rpcCode: -32603 },
  GATEWAY_HOST_FORBIDDEN: { status: 403, rpcCode: -32000 },
  GATEWAY_ORIGIN_FORBIDDEN: { status: 403, rpcCode: -32000 },
  GATEWAY_NOT_FOUND: { status: 404, rpcCode: -32601 },
  GATEWAY_UNKNOWN_SERVER: { status: 404, rpcCode: -32602 },
  GATEWAY_INVALID_REQUEST: { status: 400, rpcCode: -32602 },
  GATEWAY_SERVER_ERROR: { status: 502, rpcCode: -32603 },
  GATEWAY_STOPPING: { status: 503, rpcCode: -32000 },
  GATEWAY_AUDIT_UNAVAILABLE: { status: 503, rpcCode: -32000 },
  GATEWAY_AUDIT_OFF: { status: 404, rpcCode: -32601 },
  GATEWAY_AUDIT_REGION: { status: 500, rpcCode: -32603 },
  GATEWAY_AUDIT_NAMES: { status: 500, rpcCode: -32603 },
  GATEWAY_ROLE_REQUIRED: { status: 403, rpcCode: -32000 },
  GATEWAY_UNKNOWN_ENTRY: { status: 404, rpcCode: -32602 },
  // RFC 4918 §11.5: the request is right, and there is no room for what it would leave behind.
  GATEWAY_STORAGE_QUOTA_REACHED: { status: 507, rpcCode: -32000 },
  GATEWAY_TENANT_FORBIDDEN: { status: 403, rpcCode: -32000 },
}

/** Anything without a code is a bug of ours: it is logged where it happens, and its text is not sent. */
export function describeFailure(error: unknown): Failure {
  // Why there are no credentials is the reason.
  if (error instanceof WireError && error.code === 'WIRE_UPSTREAM_CREDENTIALS' && error.cause instanceof AuthError)
    return describeFailure(error.cause)
  if (error instanceof WireError || error instanceof AuthError || error instanceof GatewayError) {
    const data = error instanceof AuthError ? undefined : error.data
    return { ...replies[error.code], code: error.code, message: error.message, data }
  }
  if (error instanceof PolicyError) {
    const { code, message, retryAfterMs } = error
    return { ...replies[code], code, message, data: retryAfterMs === undefined ? undefined : { retryAfterMs } }
  }
  return { ...replies.WIRE_INTERNAL, code: 'WIRE_INTERNAL', message: 'internal error' }
}

/** Failures of the app itself. Codes are stable; messages are for people. */
export type GatewayErrorCode =
  | 'GATEWAY_HOST_FORBIDDEN'
  | 'GATEWAY_ORIGIN_FORBIDDEN'
  | 'GATEWAY_NOT_FOUND'
  | 'GATEWAY_UNKNOWN_SERVER'
  | 'GATEWAY_INVALID_REQUEST'
  | 'GATEWAY_SERVER_ERROR'
  | 'GATEWAY_STOPPING'
  | 'GATEWAY_AUDIT_UNAVAILABLE'
  | 'GATEWAY_AUDIT_OFF'
  | 'GATEWAY_AUDIT_REGION'
  | 'GATEWAY_AUDIT_NAMES'
  | 'GATEWAY_ROLE_REQUIRED'
  | 'GATEWAY_UNKNOWN_ENTRY'
  | 'GATEWAY_STORAGE_QUOTA_REACHED'
  | 'GATEWAY_TENANT_FORBIDDEN'

export class GatewayError extends Error {
  override readonly name = 'GatewayError'
  readonly code: GatewayErrorCode
  readonly data: Readonly<Record<string, unknown>> | undefined
  constructor(
    code: GatewayErrorCode,
    message: string,
    options?: ErrorOptions & { data?: Readonly<Record<string, unknown>> },
  ) {
    super(message, options)
    this.code = code
    this.data = options?.data
  }
}

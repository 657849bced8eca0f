/**
 * Who asks. This is the part of an authenticated caller that rules can name; the `Caller` of `@mcp-gateway/auth` fits.
 * Whoever fills it in has checked it: nothing here may come from the call itself.
 */
export type Subject = {
  readonly id: string
  /** Freeze this array and give the same one on every call, and a decision costs two table look-ups. */
  readonly roles: readonly string[]
  readonly tenantId?: string | undefined
  /** `basic`, `paid`, …: which row of a limit's tiers holds. Without one, `free`. */
  readonly tier?: string | undefined
  /** Calls in a minute that its credential grants, a whole number from 1 on: what a limit with `rate: own` holds it to. */
  readonly perMinute?: number | undefined
  /** Claims of the credential, e.g. `{ customerId: 'c-1' }`. */
  readonly attributes?: Readonly<Record<string, unknown>> | undefined
}

/** What is asked for. The caller chose all of it but `address`. */
export type ToolCall = {
  /** The configured id of the server. */
  readonly server: string
  /** The server's own name of the tool, without the gateway's prefix. */
  readonly tool: string
  /** The parsed arguments, as they will be forwarded. */
  readonly args?: unknown
  /** The client's address, as `clientAddress` found it. */
  readonly address?: string | undefined
}

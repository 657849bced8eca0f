/** What there is to authenticate: one HTTP request, before its body is used for anything. */

/** The headers of node:http's `IncomingMessage`: names in lower case. */
export type RequestHeaders = Readonly<Record<string, string | readonly string[] | undefined>>

/** The other end of the connection, as the socket knows it. */
export type Peer = {
  readonly address?: string | undefined
  /** The client certificate of the TLS handshake, DER; only one that the handshake has verified. */
  readonly certificate?: Uint8Array | undefined
}

export type AuthRequest = {
  /** Upper case. */
  readonly method: string
  /** Absolute: scheme and authority come from trusted configuration, never from the Host header alone. */
  readonly url: string
  readonly headers: RequestHeaders
  readonly peer?: Peer | undefined
  /** The raw bytes, within the caller's limit. Asked for only by schemes that sign it; every call gives the same. */
  readonly body?: (() => Promise<Uint8Array>) | undefined
}

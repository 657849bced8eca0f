export { WireError, wireReplies, type Reply, type WireErrorCode, type WireErrorOptions } from './errors.ts'
export {
  errorResponse,
  idKey,
  isNotification,
  isObject,
  isRequest,
  isResponse,
  metaOf,
  resultResponse,
  withMeta,
  without,
  type JsonObject,
  type JsonRpcErrorObject,
  type JsonRpcId,
  type JsonRpcMessage,
  type JsonRpcNotification,
  type JsonRpcRequest,
  type JsonRpcResponse,
  type RawJson,
} from './json-rpc.ts'
export { defaultParseLimits, parseBody, parseJson, parseMessage, parseUpstream, type ParseLimits } from './parse.ts'
export {
  eraOf,
  LEGACY_VERSIONS,
  negotiateVersion,
  META_CLIENT_CAPABILITIES,
  META_CLIENT_INFO,
  META_LOG_LEVEL,
  META_SERVER_INFO,
  META_SUBSCRIPTION,
  META_VERSION,
  MODERN_VERSIONS,
  type Era,
} from './era.ts'
export {
  checkHeaders,
  checkNotificationHeaders,
  decodeHeaderValue,
  encodeHeaderValue,
  mirrorHeaders,
  type Headers,
} from './headers.ts'
export { checkParamHeaders, mirrorParamHeaders, paramHeadersOf, type ParamHeader } from './param-headers.ts'
export { createLineReader, type LineReader } from './lines.ts'
export { mapExchange, responseOf, type Exchange, type ExchangeView } from './exchange.ts'
export { MAX_WAITING_MESSAGES } from './mailbox.ts'
export { createCorrelator, type Correlator, type CorrelatorOptions, type RequestOptions } from './correlator.ts'
export { defaultUpstreamLimits, type Transport, type Upstream, type UpstreamEvents, type UpstreamLimits } from './upstream.ts' // prettier-ignore
export { createStdioUpstream, type StdioUpstreamOptions } from './upstreams/stdio.ts'
export { createHttpUpstream, type HttpUpstreamOptions } from './upstreams/http.ts'
export type { Credentials } from './upstreams/http-client.ts'
export { createSseUpstream, type SseUpstreamOptions } from './upstreams/sse.ts'
export { baseEnvironment, killAllGroups, type ChildOptions } from './process-group.ts'
export { handshake, isAboutCredentials, modernMeta, outcome, type ClientInfo, type HandshakeOptions, type ServerProfile } from './handshake.ts' // prettier-ignore
export { openConnection, type Connection, type Listener } from './connection.ts'
export { isUnsent, untilSent } from './resend.ts'
export { createSharedSession, type Member, type MemberEvents, type SharedSession } from './shared-session.ts'
export { createStateSealer, type RequestState, type StateSealer } from './translate/request-state.ts'
export { createModernToLegacy, MAX_SUBSCRIPTIONS, type ModernToLegacy } from './translate/modern-to-legacy.ts'
export type { ParkedCallsOptions } from './translate/parked-calls.ts'
export { legacyResponse, legacyResult } from './translate/legacy-results.ts'
export { openLegacyToModern, type LegacyToModern, type LegacyToModernOptions } from './translate/legacy-to-modern.ts'
export { openLegacyToLegacy, type LegacyToLegacy, type LegacyToLegacyOptions } from './translate/legacy-to-legacy.ts'
export type { Backend, Context, Peer, SessionBackend } from './backend.ts'
export {
  createHttpEndpoint,
  defaultEndpointLimits,
  type EndpointLimits,
  type EndpointOptions,
  type HttpEndpoint,
} from './downstream/http-endpoint.ts'
export { describeWireFailure, readBody, type DescribeFailure, type Failure } from './downstream/http-reply.ts'
export {
  isShortened,
  joinName,
  joinResource,
  joinResultUris,
  joinUri,
  MAX_NAME_LENGTH,
  NAME_SEPARATOR,
  splitName,
  splitUri,
} from './names.ts'
export { serveStdio, type StdioEndpointOptions } from './downstream/stdio-endpoint.ts'

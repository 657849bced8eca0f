// A server that tells what it received, to the letter, and says what the request asks it to say, to the letter.
// What to say is a script inside of the request: a string, so that nothing on the way reads it.
import { membersOf } from './json-text.ts'

/** Each text is the members of an object without its braces, ready to be written. */
export type Script = {
  /** The notification that was sent before the request; the answer waits until it has arrived. */
  readonly notification: string
  /** Unknown members beside `jsonrpc` and `id`. */
  readonly envelope: string
  readonly progress?: string
  readonly answer:
    | { readonly result: string; readonly meta: string }
    | { readonly code: string; readonly message: string; readonly data: string; readonly error: string }
}

/** What the server got: the request and the notification, as text. */
export type Received = { readonly request: string; readonly notification: string }

/** Where the script is. */
export const SCRIPT = 'x-mirror'

export type Era = 'modern' | 'legacy'

const NOTIFICATION_WAIT_MS = 10_000

/** Takes one message and yields what the server says to it. Keeps the notifications that nobody has asked for yet. */
export function createMirror(era: Era): (text: string) => AsyncGenerator<string, void, void> {
  const notifications = new Map<string, PromiseWithResolvers<string>>()
  const notificationOf = (method: string): PromiseWithResolvers<string> => {
    const slot = notifications.get(method) ?? Promise.withResolvers<string>()
    notifications.set(method, slot)
    return slot
  }
  return async function* answer(text) {
    const message = JSON.parse(text) as { id?: unknown; method?: string; params?: { [SCRIPT]?: string } }
    const id = membersOf(text).get('id')
    if (id === undefined) {
      notificationOf(message.method ?? '').resolve(text)
      return
    }
    const scripted = message.params?.[SCRIPT]
    if (scripted === undefined) {
      yield housekeeping(era, id, message.method ?? '')
      return
    }
    const script = JSON.parse(scripted) as Script
    const token = progressTokenOf(text)
    if (script.progress !== undefined && token !== undefined) yield progressText(script, token)
    const notification = await within(notificationOf(script.notification).promise)
    notifications.delete(script.notification)
    yield responseText(script, id, { request: text, notification })
  }
}

/** The response as the mirror writes it. The test writes it again, with the id it chose itself, to compare. */
export function responseText({ envelope, answer }: Script, id: string, received: Received): string {
  const told = `"received":${JSON.stringify(received)}`
  const body =
    'result' in answer
      ? `"result":{${list('"resultType":"complete"', told, answer.result, `"_meta":{${answer.meta}}`)}}`
      : `"error":{${list(`"code":${answer.code}`, `"message":${answer.message}`, `"data":{${list(told, answer.data)}}`, answer.error)}}`
  return `{${list('"jsonrpc":"2.0"', `"id":${id}`, envelope, body)}}`
}

export function progressText({ envelope, progress = '' }: Script, token: string): string {
  const params = list(`"progressToken":${token}`, '"progress":0.50', progress)
  return `{${list('"jsonrpc":"2.0"', '"method":"notifications/progress"', `"params":{${params}}`, envelope)}}`
}

/** Members side by side; the empty ones leave no comma behind. */
export function list(...members: readonly string[]): string {
  return members.filter((member) => member !== '').join()
}

function progressTokenOf(text: string): string | undefined {
  const params = membersOf(text).get('params')
  const meta = params === undefined ? undefined : membersOf(params).get('_meta')
  return meta === undefined ? undefined : membersOf(meta).get('progressToken')
}

/** What the gateway asks on its own account. */
function housekeeping(era: Era, id: string, method: string): string {
  const capabilities = '"capabilities":{"tools":{},"prompts":{},"resources":{},"completions":{}}'
  const known: Readonly<Record<string, string>> = {
    ...(era === 'modern'
      ? { 'server/discover': `"supportedVersions":["2026-07-28"],${capabilities},"ttlMs":0,"cacheScope":"private"` }
      : { initialize: `"protocolVersion":"2025-11-25",${capabilities},"serverInfo":{"name":"mirror","version":"1"}` }),
    'tools/list': '"tools":[],"ttlMs":0,"cacheScope":"private"',
    ping: '',
  }
  const result = known[method]
  const body =
    result === undefined
      ? '"error":{"code":-32601,"message":"Method not found"}'
      : `"result":{${list('"resultType":"complete"', result)}}`
  return `{"jsonrpc":"2.0","id":${id},${body}}`
}

async function within(promise: Promise<string>): Promise<string> {
  const timeout = Promise.withResolvers<string>()
  const timer = setTimeout(() => timeout.resolve('no notification arrived'), NOTIFICATION_WAIT_MS)
  return Promise.race([promise, timeout.promise]).finally(() => clearTimeout(timer))
}

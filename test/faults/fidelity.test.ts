// In front of a server of its own era a client's messages arrive as they were sent, and so do the server's (acceptance 2
// of issue 3). Both ends are raw text: what is compared is what was written, not what somebody parsed.
import { fileURLToPath } from 'node:url'

import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { type GatewayProcess, startGatewayProcess } from './gateway-process.ts'
import { membersText, stringText } from './json-arbitrary.ts'
import { canonical, membersOf, withMember } from './json-text.ts'
import { closeConnections, MODERN_META, modernHeaders, openSession, send, type Answer } from './mcp-client.ts'
import { startMirrorHttp } from './mirror-http.ts'
import { list, progressText, responseText, SCRIPT, type Era, type Received, type Script } from './mirror.ts'

/** What a gateway may change on the way to a server, because callers choose these without knowing of each other. */
const OWNED_BY_THE_GATEWAY: readonly (readonly string[])[] = [
  ['id'],
  ['params', 'requestId'],
  ['params', 'progressToken'],
  ['params', '_meta', 'progressToken'],
  ['params', '_meta', 'io.modelcontextprotocol/subscriptionId'],
]

const CASES = Number(process.env['FIDELITY_CASES'] ?? 10_000)
/** Cases in flight at a time; a failing batch shrinks to the one case that fails. */
const BATCH = 5
const cells = (['modern', 'legacy'] as const).flatMap((era) =>
  (['stdio', 'http'] as const).map((kind) => ({ era, kind })),
)

/** One exchange: a notification and a request there, a progress notification and a response back. */
type Case = {
  readonly method: string
  readonly name: string
  readonly idStyle: 'number' | 'string' | 'huge'
  readonly token: string | null
  readonly envelope: string
  readonly params: string
  readonly meta: string
  readonly args: string
  readonly notification: string
  readonly script: Omit<Script, 'notification'>
}

const members = membersText()
const cases: fc.Arbitrary<Case> = fc.record({
  method: fc.constantFrom('tools/call', 'tools/call', 'prompts/get', 'completion/complete', 'x-vendor/anything'),
  name: fc.oneof(
    fc.constantFrom('echo', 'a b', ' x ', '=?base64?', '漢字'),
    fc.string({ unit: 'binary', minLength: 1 }),
  ),
  idStyle: fc.constantFrom('number', 'string', 'huge'),
  token: fc.option(
    fc.oneof(
      stringText.filter((text) => text.length > 2),
      fc.nat().map(String),
    ),
  ),
  envelope: members,
  params: members,
  meta: members,
  args: members,
  notification: members,
  script: fc.record(
    {
      envelope: members,
      progress: members,
      answer: fc.oneof(
        { weight: 4, arbitrary: fc.record({ result: members, meta: members }) },
        { weight: 1, arbitrary: fc.record({ code: fc.integer({ min: -31_999, max: 31_999 }).map(String), message: stringText, data: members, error: members }) }, // prettier-ignore
      ),
    },
    { requiredKeys: ['envelope', 'answer'] },
  ),
})

let gateway: GatewayProcess
const mirrors: AsyncDisposable[] = []
const program = fileURLToPath(new URL('mirror-stdio.ts', import.meta.url))

beforeAll(async () => {
  const servers = await Promise.all(
    cells.map(async ({ era, kind }) => {
      const id = `${era}-${kind}`
      if (kind === 'stdio') return { id, command: process.execPath, args: [program, era] }
      const mirror = await startMirrorHttp(era)
      mirrors.push(mirror)
      return { id, url: mirror.url }
    }),
  )
  gateway = await startGatewayProcess({ servers, log: { level: 'warn' } })
})

afterAll(async () => {
  await gateway.close()
  closeConnections()
  await Promise.all(mirrors.map((mirror) => mirror[Symbol.asyncDispose]()))
})

describe('whatever passes the gateway ≡ what was sent', () => {
  it.each(cells)('$era client → $era server, $kind', async ({ era, kind }) => {
    const path = `/mcp/server/${era}-${kind}`
    const session = era === 'legacy' ? await openSession(gateway.port, path) : undefined
    const post: Post = (body, headers) =>
      session === undefined ? send('POST', { port: gateway.port, path, body, headers }) : session.post(body)
    const one = exchange(era, post)
    let passed = 0
    const law = fc.asyncProperty(fc.array(cases, { minLength: BATCH, maxLength: BATCH }), async (batch) => {
      await Promise.all(batch.map(one))
      passed += batch.length
    })
    const runs = Math.ceil(CASES / cells.length / BATCH)
    await fc.assert(law, { numRuns: runs, interruptAfterTimeLimit: 50_000, markInterruptAsFailure: true })
    expect(passed).toBeGreaterThanOrEqual(runs * BATCH)
  })
})

type Post = (body: string, headers: Readonly<Record<string, string>>) => Promise<Answer>

let nextCase = 1

/** Sends one case and compares all four messages. */
function exchange(era: Era, post: Post): (given: Case) => Promise<void> {
  return async (given) => {
    const number = nextCase
    nextCase += 1
    const method = `notifications/case-${number}`
    const script: Script = { ...given.script, notification: method }
    const id = idText(given.idStyle, number)
    const token = given.token === null ? '' : `"progressToken":${tokenText(given.token, number)}`
    const modernMeta = era === 'modern' ? JSON.stringify(MODERN_META).slice(1, -1) : ''
    const meta = `"_meta":{${list(modernMeta, token, given.meta)}}`
    const named = `"name":${JSON.stringify(given.name)},"arguments":{${given.args}}`
    const params = list(named, given.params, meta, `"${SCRIPT}":${JSON.stringify(JSON.stringify(script))}`)
    const request = `{\n${list('"jsonrpc":"2.0"', `"id":${id}`, given.envelope, `"method":"${given.method}"`)},\n"params":{${params}}}`
    const notification = `{${list('"jsonrpc":"2.0"', `"method":"${method}"`, given.envelope, `"params":{${list(given.notification, modernMeta && `"_meta":{${modernMeta}}`)}}`)}}`

    const accepted = await post(notification, modernHeaders(method))
    expect(accepted.status).toBe(202)
    const { texts } = await post(request, modernHeaders(given.method, given.name))

    const answer = texts.at(-1) ?? ''
    const received = receivedIn(answer)
    expectSame(withoutOwned(received.request), withoutOwned(request))
    expectSame(withoutOwned(received.notification), withoutOwned(notification))
    expectSame(answer, responseText(script, id, received))
    const progress =
      token === '' || script.progress === undefined
        ? []
        : [progressText(script, token.slice('"progressToken":'.length))]
    expect(texts.slice(0, -1).map(canonical)).toEqual(progress.map(canonical))
  }
}

/** Ids and tokens in flight must differ; 2^53 and what follows are no doubles. */
function idText(style: Case['idStyle'], number: number): string {
  if (style === 'huge') return `${9_007_199_254_740_993n + BigInt(2 * number)}`
  return style === 'string' ? `"case ${number}"` : String(number)
}

function tokenText(token: string, number: number): string {
  return token.startsWith('"') ? `${token.slice(0, -1)}-${number}"` : String(1_000_000 + number)
}

function receivedIn(answer: string): Received {
  const response = membersOf(answer)
  const body = response.get('result') ?? membersOf(response.get('error') ?? '{}').get('data') ?? '{}'
  const told = membersOf(body).get('received')
  if (told === undefined) throw new Error(`the server was not reached: ${answer.slice(0, 1000)}`)
  return JSON.parse(told) as Received
}

function withoutOwned(text: string): string {
  return OWNED_BY_THE_GATEWAY.reduce((changed, path) => withMember(changed, path, '"owned"'), text)
}

function expectSame(actual: string, expected: string): void {
  const [one, other] = [canonical(actual), canonical(expected)]
  if (one === other) return
  let at = 0
  while (one[at] === other[at]) at += 1
  const part = (text: string): string => text.slice(Math.max(0, at - 80), at + 160)
  throw new Error(`differs at ${at}:\n  arrived: ${part(one)}\n  sent:    ${part(other)}`)
}

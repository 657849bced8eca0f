// The two ends of one request: whatever the order in which a server speaks and a client reads, nothing is lost and nothing
// comes twice, and a reader who leaves is heard of once.
import fc from 'fast-check'
import { describe, expect, test, vi } from 'vitest'
import { mapExchange, type Exchange } from '../src/exchange.ts'
import type { JsonRpcMessage, JsonRpcResponse } from '../src/json-rpc.ts'
import { Mailbox, MAX_WAITING_MESSAGES } from '../src/mailbox.ts'

const said = (n: number): JsonRpcMessage => ({ jsonrpc: '2.0', method: 'notifications/progress', params: { n } })
const response: JsonRpcResponse = { jsonrpc: '2.0', id: 1, result: {} }

describe('a mailbox', () => {
  test('gives what is pushed, in order, and then the response, however writing and reading take turns', async () => {
    const steps = fc.array(fc.constantFrom('push', 'read', 'turn'), { maxLength: 30 })
    await fc.assert(
      fc.asyncProperty(steps, async (order) => {
        const box = new Mailbox(() => expect.unreachable())
        const read: Promise<IteratorResult<JsonRpcMessage, JsonRpcResponse>>[] = []
        let pushed = 0
        for (const step of order) {
          if (step === 'push') box.push(said(pushed++), 10)
          else if (step === 'read') read.push(box.next())
          else await Promise.resolve()
        }
        box.settle(response)
        box.push(said(-1), 1)
        box.fail(new Error('too late'))
        while (read.length <= pushed) read.push(box.next())
        const results = await Promise.all(read)
        expect(results.slice(0, pushed + 1)).toEqual([
          ...Array.from({ length: pushed }, (_, n) => ({ done: false, value: said(n) })),
          { done: true, value: response },
        ])
        for (const more of results.slice(pushed + 1)) expect(more).toEqual({ done: true, value: undefined })
      }),
      { numRuns: 2000 },
    )
  })

  test('fails after what was said before, once', async () => {
    const box = new Mailbox(() => expect.unreachable())
    box.push(said(0), 1)
    box.fail(new Error('gone'))
    expect(await box.next()).toEqual({ done: false, value: said(0) })
    await expect(box.next()).rejects.toThrow('gone')
    expect(await box.next()).toEqual({ done: true, value: undefined })
  })

  test('hears of a reader who leaves, before the first message, while waiting and in between, once', async () => {
    for (const before of [async () => undefined, async (box: Mailbox) => void (await box.next())]) {
      const onAbandon = vi.fn()
      const box = new Mailbox(onAbandon)
      box.push(said(0), 1)
      await before(box)
      expect(await box.return(response)).toEqual({ done: true, value: response })
      await box.return(response)
      box.settle(response)
      expect(onAbandon).toHaveBeenCalledTimes(1)
      expect(box.isOpen()).toBe(false)
      expect(await box.next()).toEqual({ done: true, value: undefined })
    }
    const waiting = new Mailbox(() => undefined)
    const next = waiting.next()
    const left = waiting.throw(new Error('why'))
    await expect(next).rejects.toMatchObject({ code: 'WIRE_CANCELLED' })
    await expect(left).rejects.toThrow('why')
  })

  test('does not hear of one who leaves after the response', async () => {
    const box = new Mailbox(() => expect.unreachable())
    box.settle(response)
    await box.return(response)
  })

  test('gives up on a reader who is too slow', async () => {
    const onAbandon = vi.fn()
    const box = new Mailbox(onAbandon)
    for (let n = 0; n <= MAX_WAITING_MESSAGES; n += 1) box.push(said(n), 1)
    await expect(box.next()).rejects.toMatchObject({ code: 'WIRE_BUFFER_FULL' })
    expect(onAbandon).toHaveBeenCalledTimes(1)
  })
})

describe.each([
  ['a mailbox', (box: Mailbox): Exchange => box],
  ['another exchange', (box: Mailbox): Exchange => around(box)],
])('mapExchange of %s', (_, made) => {
  const odd = (message: JsonRpcMessage) => (JSON.stringify(message).match(/"n":[13]/) ? message : undefined)
  const fail = (): never => {
    throw new Error('no')
  }

  test('changes, leaves out, and passes leaving on', async () => {
    const onAbandon = vi.fn()
    const box = new Mailbox(onAbandon)
    for (let n = 0; n < 4; n += 1) box.push(said(n), 1)
    const exchange = mapExchange(made(box), { onMessage: odd, onResponse: (last) => ({ ...last, result: { n: 4 } }) })
    expect(await exchange.next()).toEqual({ done: false, value: said(1) })
    expect(await exchange.next()).toEqual({ done: false, value: said(3) })
    box.settle(response)
    expect(await exchange.next()).toEqual({ done: true, value: { ...response, result: { n: 4 } } })
    const other = new Mailbox(onAbandon)
    await mapExchange(made(other), { onMessage: odd }).return(response)
    expect(onAbandon).toHaveBeenCalledTimes(1)
  })

  test('twice: the second sees what the first shows', async () => {
    const box = new Mailbox(() => expect.unreachable())
    const one = mapExchange(made(box), { onMessage: odd, onResponse: (last) => ({ ...last, result: { one: 1 } }) })
    const seen: JsonRpcMessage[] = []
    const onMessage = (message: JsonRpcMessage) => void seen.push(message)
    const two = mapExchange(one, { onMessage, onResponse: (last) => ({ ...last, error: { code: 1, message: JSON.stringify(last.result) } }) }) // prettier-ignore
    const next = two.next()
    for (let n = 0; n < 4; n += 1) box.push(said(n), 1)
    box.settle(response)
    expect(await next).toMatchObject({ done: true, value: { error: { message: '{"one":1}' } } })
    expect(seen).toEqual([said(1), said(3)])
  })

  test.each(['waits', 'waits not yet'])(
    'a message that cannot be changed ends it, and its server hears of it: the reader %s',
    async (when) => {
      const onAbandon = vi.fn()
      const box = new Mailbox(onAbandon)
      const exchange = mapExchange(made(box), { onMessage: fail })
      const early = when === 'waits' ? exchange.next() : undefined
      box.push(said(0), 1)
      box.push(said(1), 1)
      await expect(early ?? exchange.next()).rejects.toThrow('no')
      expect(onAbandon).toHaveBeenCalledTimes(1)
      box.settle(response)
      expect(await exchange.next()).toMatchObject({ done: true, value: undefined })
    },
  )

  test('a response that cannot be changed is the end all the same', async () => {
    for (const isEarly of [true, false]) {
      const box = new Mailbox(() => expect.unreachable())
      const exchange = mapExchange(made(box), { onMessage: odd, onResponse: fail })
      const early = isEarly ? exchange.next() : undefined
      box.settle(response)
      await expect(early ?? exchange.next()).rejects.toThrow('no')
      await exchange.return(response)
    }
  })
})

/** Nothing but what every exchange has. */
function around(box: Mailbox): Exchange {
  return {
    next: () => box.next(),
    return: (value) => box.return(value),
    throw: (error) => box.throw(error),
    [Symbol.asyncIterator]() {
      return this
    },
    [Symbol.asyncDispose]: () => box[Symbol.asyncDispose](),
  }
}

// The two ends of one request: whatever the order in which a server speaks and a client reads, nothing is lost and nothing
// comes twice, and a reader who leaves is heard of once.
import fc from 'fast-check'
import { describe, expect, test, vi } from 'vitest'
import { mapExchange } from '../src/exchange.ts'
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

describe('mapExchange', () => {
  const odd = (message: JsonRpcMessage) => (JSON.stringify(message).match(/"n":[13]/) ? message : undefined)

  test('changes, leaves out, and passes leaving on', async () => {
    const onAbandon = vi.fn()
    const box = new Mailbox(onAbandon)
    for (let n = 0; n < 4; n += 1) box.push(said(n), 1)
    const exchange = mapExchange(box, { onMessage: odd, onResponse: (last) => ({ ...last, result: { n: 4 } }) })
    expect(await exchange.next()).toEqual({ done: false, value: said(1) })
    expect(await exchange.next()).toEqual({ done: false, value: said(3) })
    box.settle(response)
    expect(await exchange.next()).toEqual({ done: true, value: { ...response, result: { n: 4 } } })
    const other = new Mailbox(onAbandon)
    await mapExchange(other, { onMessage: odd }).return(response)
    expect(onAbandon).toHaveBeenCalledTimes(1)
  })

  test('a message that cannot be changed ends the exchange, and its server hears of it', async () => {
    const onAbandon = vi.fn()
    const box = new Mailbox(onAbandon)
    box.push(said(0), 1)
    const fail = (): never => {
      throw new Error('no')
    }
    await expect(mapExchange(box, { onMessage: fail }).next()).rejects.toThrow('no')
    expect(onAbandon).toHaveBeenCalledTimes(1)
    const done = new Mailbox(() => expect.unreachable())
    done.settle(response)
    await expect(mapExchange(done, { onMessage: odd, onResponse: fail }).next()).rejects.toThrow('no')
  })
})

import { describe, expect, it } from 'vitest'
import { callBody, FIRST_ID, problemWith } from '../messages.ts'

const id = FIRST_ID + 7
const echo = (answered: number, text: string): string =>
  JSON.stringify({ jsonrpc: '2.0', id: answered, result: { content: [{ type: 'text', text }] } })
const text = `bench-echo-payload-${id}`

describe('problemWith', () => {
  it.each([
    ['as we write it', echo(id, text)],
    ['spaced and ordered another way', `{ "result": { "content": [ { "text": "${text}" } ] }, "id": ${id} }`],
    ['in an event', `event: message\ndata: ${echo(id, text)}\n\n`],
  ])('lets an echo pass that comes %s', (_name, body) => {
    expect(problemWith(id, 200, body)).toBeUndefined()
  })

  it.each([
    ['the echo of another call', 200, echo(id, `bench-echo-payload-${id + 1}`)],
    ['the id of another call', 200, echo(id + 1, text)],
    ['an error', 200, JSON.stringify({ jsonrpc: '2.0', id, error: { code: -32603, message: text } })],
    ['another status', 500, echo(id, text)],
    ['nothing', 200, ''],
  ])('says what is wrong with %s', (_name, status, body) => {
    expect(problemWith(id, status, body)).toMatch(/^call 100000007: /)
  })
})

describe('callBody', () => {
  it('has the same length for every id', () => {
    const lengths = [FIRST_ID, id, FIRST_ID * 9].map((one) => callBody('modern', one).length)
    expect(new Set(lengths).size).toBe(1)
  })
})

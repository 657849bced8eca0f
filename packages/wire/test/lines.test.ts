import { createLineReader } from '@mcp-gateway/wire'
import fc from 'fast-check'
import { expect, it } from 'vitest'

it('lines(chunks of text) ≡ lines of text, however it is cut', () => {
  const line = fc.string({ unit: 'grapheme', minLength: 1 }).filter((text) => !/[\r\n]/.test(text))
  fc.assert(
    fc.property(fc.array(line), fc.infiniteStream(fc.integer({ min: 1, max: 7 })), (lines, sizes) => {
      const got: string[] = []
      const read = createLineReader(
        1_000_000,
        (text) => got.push(text),
        () => expect.unreachable(),
      )
      const bytes = Buffer.from(lines.map((text) => `${text}\n`).join(''))
      for (let at = 0; at < bytes.length;) {
        const size = sizes.next().value as number
        read(bytes.subarray(at, at + size))
        at += size
      }
      expect(got).toEqual(lines)
    }),
  )
})

it('skips a line past its limit, says so once, and reads the next', () => {
  const got: string[] = []
  let overflows = 0
  const read = createLineReader(
    1000,
    (text) => got.push(text),
    () => (overflows += 1),
  )
  for (let i = 0; i < 100; i += 1) read(Buffer.from('x'.repeat(100)))
  read(Buffer.from('tail\nnext\n'))
  expect({ got, overflows }).toEqual({ got: ['next'], overflows: 1 })
})

it('reads a 32 MiB line in linear time', () => {
  let length = 0
  const read = createLineReader(
    64 * 1024 * 1024,
    (text) => (length = text.length),
    () => undefined,
  )
  const chunk = Buffer.from('x'.repeat(65_536))
  for (let i = 0; i < 512; i += 1) read(chunk)
  read(Buffer.from('\n'))
  expect(length).toBe(512 * 65_536)
})

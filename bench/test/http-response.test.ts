import { describe, expect, it } from 'vitest'
import { createResponseReader } from '../http-response.ts'

const sized = 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{"a":"é"}'.replace(
  '9',
  '10',
)
const chunked = 'HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"a":\r\n5\r\n"é"}\r\n0\r\n\r\n'

describe('createResponseReader', () => {
  it.each([
    ['content-length', sized, 200],
    ['chunked', chunked, 202],
  ])('reads a %s answer wherever the socket cuts it', (_name, text, status) => {
    const bytes = Buffer.from(text)
    for (let cut = 1; cut < bytes.length; cut += 1) {
      const read = createResponseReader()
      expect(read(bytes.subarray(0, cut))).toBeUndefined()
      expect(read(bytes.subarray(cut))).toMatchObject({ status, body: '{"a":"é"}' })
    }
  })

  it('reads one answer after the other', () => {
    const read = createResponseReader()
    expect(read(Buffer.from(sized))?.status).toBe(200)
    expect(read(Buffer.from(chunked))?.status).toBe(202)
  })

  it('reads an answer without a body', () => {
    expect(createResponseReader()(Buffer.from('HTTP/1.1 202 Accepted\r\n\r\n'))).toMatchObject({
      status: 202,
      body: '',
    })
  })

  it('refuses bytes that nobody asked for', () => {
    expect(() => createResponseReader()(Buffer.from(`${sized}HTTP`))).toThrow('4 bytes follow the answer')
  })
})

/** A file as lines of bytes, in memory that does not grow with it. Every line ends with a newline, the last one too. */
import { VerifyError } from './finding.ts'

/** 1 MiB of fields takes up to 6 MiB when every character of it has to be escaped. */
const MAX_LINE_BYTES = 8 * 1024 * 1024
const NEWLINE = 0x0a

/** @throws VerifyError LINE_TOO_LONG, FILE_TRUNCATED */
export async function* readLines(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<readonly Buffer[]> {
  let pending: Buffer[] = []
  let pendingBytes = 0
  for await (const chunk of chunks) {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
    const lines: Buffer[] = []
    let from = 0
    for (let to = bytes.indexOf(NEWLINE); to !== -1; to = bytes.indexOf(NEWLINE, from)) {
      const rest = bytes.subarray(from, to)
      const line = pending.length === 0 ? rest : Buffer.concat([...pending, rest])
      if (line.length > MAX_LINE_BYTES) throw tooLong()
      lines.push(line)
      pending = []
      pendingBytes = 0
      from = to + 1
    }
    if (lines.length > 0) yield lines
    if (from === bytes.length) continue
    pending.push(bytes.subarray(from))
    pendingBytes += bytes.length - from
    if (pendingBytes > MAX_LINE_BYTES) throw tooLong()
  }
  if (pendingBytes > 0) throw new VerifyError('FILE_TRUNCATED', 'the last line does not end: the file was cut off')
}

function tooLong(): VerifyError {
  return new VerifyError('LINE_TOO_LONG', `a line has more than ${MAX_LINE_BYTES} bytes`)
}

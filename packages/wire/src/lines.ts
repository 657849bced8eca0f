/**
 * Newline-delimited JSON from a stream of bytes (MCP, basic/transports, stdio).
 * The adversary is a child that writes a line that never ends: its length has a limit, and what exceeds it is reported once
 * and skipped up to the next newline. Chunks are searched once each, so a long line costs linear time.
 */
import { StringDecoder } from 'node:string_decoder'

const START_LENGTH = 200

export type LineReader = (chunk: Uint8Array) => void

/** Calls `onLine` for each complete, non-empty line and `onOverflow`, with the start of it, once per line longer than `maxLineBytes`. */
export function createLineReader(
  maxLineBytes: number,
  onLine: (line: string) => void,
  onOverflow: (start: string) => void,
): LineReader {
  const decoder = new StringDecoder('utf8')
  let parts: string[] = []
  let sizeBytes = 0
  let skipping = false

  const finish = (rest: string): void => {
    const line = parts.length === 0 ? rest : parts.join('') + rest
    parts = []
    sizeBytes = 0
    if (skipping) skipping = false
    else if (line !== '' && line !== '\r') onLine(line.endsWith('\r') ? line.slice(0, -1) : line)
  }

  return (chunk) => {
    const text = decoder.write(chunk)
    let from = 0
    for (let to = text.indexOf('\n'); to !== -1; to = text.indexOf('\n', from)) {
      finish(text.slice(from, to))
      from = to + 1
    }
    if (from === text.length || skipping) return
    sizeBytes += text.length - from
    if (sizeBytes > maxLineBytes) {
      const start = (parts[0] ?? text.slice(from)).slice(0, START_LENGTH)
      parts = []
      skipping = true
      onOverflow(start)
    } else parts.push(from === 0 ? text : text.slice(from))
  }
}

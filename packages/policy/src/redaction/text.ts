/** Redacting a text, whole or in chunks; both give the same. */
import { endOfLine, MAX_LINE_CHARS, replaceInLine, type CompiledPattern } from './patterns.ts'
import { isPlain, LOOK_BEHIND_CHARS, scan, type Looks } from './scanner.ts'
import type { Span } from './span.ts'

/** What to look for in texts. */
export type TextRules = {
  /** Undefined without detectors. */
  readonly looks: Looks | undefined
  readonly patterns: readonly CompiledPattern[]
}

/** How often each detector or pattern found something; never what. Undefined while that is nothing, as mostly. */
export type Findings = { counts: Map<string, number> | undefined }

export type TextStream = {
  /** What of the text so far can be told. Holds back what could still become part of something. */
  readonly push: (chunk: string) => string
  /** The rest. */
  readonly end: () => string
}

/** What stands where something was: no length, no letter of it. */
function placeholder(name: string): string {
  return `[REDACTED ${name}]`
}

export function redactText(text: string, { looks, patterns }: TextRules, findings: Findings): string {
  const own = patterns.length > 0 ? replaceLines(text, patterns, findings) : text
  if (looks === undefined || isPlain(own)) return own
  const spans: Span[] = []
  scan({ text: own, isFinal: true }, 0, true, looks, spans)
  return spans.length === 0 ? own : replaceSpans(own, 0, own.length, spans, findings)
}

export function createTextStream({ looks, patterns }: TextRules, findings: Findings): TextStream {
  const lines = patterns.length > 0 ? createLineStream(patterns, findings) : undefined
  const found = looks && createScanStream(looks, findings)
  const scanned = (text: string): string => found?.push(text) ?? text
  return {
    push: (chunk) => scanned(lines?.push(chunk) ?? chunk),
    end: () => scanned(lines?.end() ?? '') + (found?.end() ?? ''),
  }
}

function createScanStream(looks: Looks, findings: Findings): TextStream {
  /** LOOK_BEHIND_CHARS of what is decided, then what is not. */
  let buffer = ''
  let decided = 0
  /** Whether something was found that ends where `decided` is. */
  let isFresh = true
  const advance = (isFinal: boolean): string => {
    const spans: Span[] = []
    let next = scan({ text: buffer, isFinal }, decided, isFresh, looks, spans)
    // Half of a character is nothing that anybody could send on.
    if (!isFinal && next > decided && isHighSurrogate(buffer, next - 1) && spans.at(-1)?.end !== next) next--
    isFresh = next === decided ? isFresh : spans.at(-1)?.end === next
    const out = replaceSpans(buffer, decided, next, spans, findings)
    const keepFrom = Math.max(next - LOOK_BEHIND_CHARS, 0)
    buffer = buffer.slice(keepFrom)
    decided = next - keepFrom
    return out
  }
  return {
    push(chunk) {
      buffer += chunk
      return advance(false)
    },
    end: () => advance(true),
  }
}

function createLineStream(patterns: readonly CompiledPattern[], findings: Findings): TextStream {
  let buffer = ''
  const drain = (isFinal: boolean): string => {
    let start = 0
    let out = ''
    while (start < buffer.length) {
      const end = endOfLine(buffer, start)
      const isWhole = isFinal || buffer[end - 1] === '\n' || end - start === MAX_LINE_CHARS
      if (!isWhole) break
      out += replaceInLine(buffer.slice(start, end), patterns, (name) => count(findings, name))
      start = end
    }
    buffer = buffer.slice(start)
    return out
  }
  return {
    push(chunk) {
      buffer += chunk
      return drain(false)
    },
    end: () => drain(true),
  }
}

function replaceLines(text: string, patterns: readonly CompiledPattern[], findings: Findings): string {
  let out = ''
  for (let start = 0; start < text.length;) {
    const end = endOfLine(text, start)
    out += replaceInLine(text.slice(start, end), patterns, (name) => count(findings, name))
    start = end
  }
  return out
}

function replaceSpans(text: string, from: number, to: number, spans: readonly Span[], findings: Findings): string {
  let out = ''
  let rest = from
  for (const { start, end, detector } of spans) {
    out += text.slice(rest, start) + count(findings, detector)
    rest = end
  }
  return out + text.slice(rest, to)
}

/** @returns what stands in its place */
export function count(findings: Findings, name: string): string {
  findings.counts ??= new Map()
  findings.counts.set(name, (findings.counts.get(name) ?? 0) + 1)
  return placeholder(name)
}

function isHighSurrogate(text: string, index: number): boolean {
  const code = text.charCodeAt(index)
  return code >= 0xd8_00 && code <= 0xdb_ff
}

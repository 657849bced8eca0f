/** Entries in files, one a line, in a form that can be verified again. Flushed to the disk when a write resolves. */
import { formatJsonl } from '../formats/jsonl.ts'
import type { RecordFormat, Sink } from '../sink.ts'
import { createRecordFile, type RecordFileOptions } from './record-file.ts'

export type JsonlSinkOptions = Pick<RecordFileOptions, 'path' | 'maxFileBytes'> & {
  /** Any format without line breaks, such as OCSF. @default formatJsonl */
  readonly record?: RecordFormat
}

export function createJsonlSink({ record = formatJsonl, ...options }: JsonlSinkOptions): Sink {
  const file = createRecordFile({ ...options, lineEnd: '\n', quotes: 'none' })
  return {
    async write(entries, signal) {
      signal.throwIfAborted()
      await file.append(entries.map(record))
    },
    [Symbol.asyncDispose]: file[Symbol.asyncDispose],
  }
}

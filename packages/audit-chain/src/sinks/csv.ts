/** Entries in files as a table, for spreadsheets. Flushed to the disk when a write resolves. It proves nothing. */
import { createCsvFormat, type CsvOptions } from '../formats/csv.ts'
import type { Sink } from '../sink.ts'
import { createRecordFile, type RecordFileOptions } from './record-file.ts'

export type CsvSinkOptions = Pick<RecordFileOptions, 'path' | 'maxFileBytes'> & CsvOptions

export function createCsvSink({ path, maxFileBytes, ...columns }: CsvSinkOptions): Sink {
  const { header, record } = createCsvFormat(columns)
  const limit = maxFileBytes === undefined ? {} : { maxFileBytes }
  const file = createRecordFile({ path, ...limit, header, lineEnd: '\r\n', quotes: 'rfc4180' })
  return {
    async write(entries, signal) {
      signal.throwIfAborted()
      await file.append(entries.map(record))
    },
    [Symbol.asyncDispose]: file[Symbol.asyncDispose],
  }
}

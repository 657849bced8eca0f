/**
 * A file of records that is never left with half of one: each batch is written behind the last whole record and flushed,
 * and what `kill -9` or a full disk cut off is cut away when the file is opened again. One writer at a time.
 */
import { existsSync } from 'node:fs'
import { mkdir, open, readdir, rename, type FileHandle } from 'node:fs/promises'
import { basename, dirname, extname, join } from 'node:path'
import { AuditError } from '../errors.ts'

export type RecordFileOptions = {
  readonly path: string
  /** Before it would grow past this, a file is put aside as `name.000001.ext` and a new one begun. @default 64 MiB */
  readonly maxFileBytes?: number
  readonly lineEnd: '\n' | '\r\n'
  /** First line of each file. */
  readonly header?: string
  /** Whether records have line breaks between quotes (RFC 4180), which end no record. */
  readonly quotes: 'none' | 'rfc4180'
}

export type RecordFile = AsyncDisposable & {
  /** Durable when it resolves. @throws AuditError AUDIT_SINK_FAILED */
  append(records: readonly string[]): Promise<void>
  /** Whole lines in the present file, its header too. */
  count(): Promise<number>
}

type OpenFile = { readonly handle: FileHandle; sizeBytes: number; lines: number }

const DEFAULT_MAX_FILE_BYTES = 64 * 1024 * 1024
const CHUNK_BYTES = 1024 * 1024

export function createRecordFile(options: RecordFileOptions): RecordFile {
  const { path, maxFileBytes = DEFAULT_MAX_FILE_BYTES, lineEnd, header, quotes } = options
  if (!Number.isSafeInteger(maxFileBytes) || maxFileBytes < 1) throw new RangeError(`maxFileBytes: ${maxFileBytes}`)
  let current: OpenFile | undefined

  const begin = async (): Promise<OpenFile> => {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 })
    // What is in it is somebody's data.
    const handle = await openOrCreate(path)
    try {
      const whole = await measure(handle, quotes)
      await handle.truncate(whole.sizeBytes)
      await syncFolder(dirname(path))
      return { handle, ...whole }
    } catch (error) {
      await handle.close()
      throw error
    }
  }

  const close = async (): Promise<void> => {
    const { handle } = current ?? {}
    current = undefined
    await handle?.close()
  }

  const append = async (records: readonly string[]): Promise<void> => {
    if (records.length === 0) return
    const body = Buffer.from(records.map((record) => record + lineEnd).join(''))
    current ??= await begin()
    if (current.sizeBytes > 0 && current.sizeBytes + body.length > maxFileBytes) {
      await close()
      await putAside(path)
      current = await begin()
    }
    const isNew = current.sizeBytes === 0 && header !== undefined
    const bytes = isNew ? Buffer.concat([Buffer.from(header + lineEnd), body]) : body
    for (let at = 0; at < bytes.length;) {
      at += (await current.handle.write(bytes, at, bytes.length - at, current.sizeBytes + at)).bytesWritten
    }
    await current.handle.datasync()
    current.sizeBytes += bytes.length
    current.lines += records.length + (isNew ? 1 : 0)
  }

  return {
    async append(records) {
      try {
        await append(records)
      } catch (error) {
        // What is on the disk now is not known; the next batch looks.
        await close().catch(() => undefined)
        throw new AuditError('AUDIT_SINK_FAILED', `${path} cannot be written`, { cause: error })
      }
    },
    async count() {
      if (current === undefined && !existsSync(path)) return 0
      current ??= await begin()
      return current.lines
    },
    [Symbol.asyncDispose]: close,
  }
}

async function openOrCreate(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'r+')
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error
    return await open(path, 'wx+', 0o600)
  }
}

/** Up to where whole records stand. A quote opens and closes, and a doubled one does both, so counting them suffices. */
async function measure(
  handle: FileHandle,
  quotes: RecordFileOptions['quotes'],
): Promise<{ readonly sizeBytes: number; readonly lines: number }> {
  const buffer = Buffer.alloc(CHUNK_BYTES)
  let sizeBytes = 0
  let lines = 0
  let isOutside = true
  for (let at = 0; ;) {
    const { bytesRead } = await handle.read(buffer, 0, CHUNK_BYTES, at)
    if (bytesRead === 0) return { sizeBytes, lines }
    for (let i = 0; i < bytesRead; i += 1) {
      const byte = buffer[i]
      if (byte === 0x22 && quotes === 'rfc4180') isOutside = !isOutside
      if (byte !== 0x0a || !isOutside) continue
      sizeBytes = at + i + 1
      lines += 1
    }
    at += bytesRead
  }
}

/** Under the next free number. Files that are put aside are the operator's to move or delete. */
async function putAside(path: string): Promise<void> {
  const extension = extname(path)
  const stem = basename(path, extension)
  const numbers = (await readdir(dirname(path))).flatMap((name) => {
    const digits = name.startsWith(`${stem}.`) && name.endsWith(extension) ? name.slice(stem.length + 1, name.length - extension.length) : '' // prettier-ignore
    return /^\d{6,15}$/.test(digits) ? [Number(digits)] : []
  })
  const next = String(numbers.reduce((most, one) => Math.max(most, one), 0) + 1).padStart(6, '0')
  await rename(path, join(dirname(path), `${stem}.${next}${extension}`))
}

async function syncFolder(directory: string): Promise<void> {
  await using folder = await open(directory, 'r')
  await folder.sync()
}

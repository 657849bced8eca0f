/**
 * Entries as objects in a bucket, of Amazon or of anything that speaks S3. Delivered means that the store said it has the
 * object. With object lock not even the bucket's owner takes one back before its time.
 *
 * An object is named by log, first and last position, so a batch that comes again is the same object. Needs
 * `@aws-sdk/client-s3`, which is loaded by the first write and looked for at once.
 */
import { gzip } from 'node:zlib'
import { promisify } from 'node:util'
import { AuditError } from '../errors.ts'
import type { FollowedEntry } from '../follower.ts'
import { formatJsonl } from '../formats/jsonl.ts'
import { sha256 } from '../hash.ts'
import type { RecordFormat, Sink } from '../sink.ts'
import { piecesOf } from './pieces.ts'

export type S3SinkOptions = {
  readonly bucket: string
  /** Of the service, such as `eu-central-1`. */
  readonly region: string
  /** Before every key, such as `audit/`. @default none */
  readonly prefix?: string
  /** Of another service than Amazon's; its buckets are then part of the path. */
  readonly endpoint?: string
  /** @default what the SDK finds: variables, files, the machine's role */
  readonly credentials?: {
    readonly accessKeyId: string
    readonly secretAccessKey: string
    readonly sessionToken?: string
  }
  /** The bucket must have been made with object lock. */
  readonly objectLock?: { readonly mode: 'GOVERNANCE' | 'COMPLIANCE'; readonly retainDays: number }
  /** @default none */
  readonly compression?: 'gzip' | 'none'
  /** Records without line breaks; an object has one a line. @default formatJsonl */
  readonly record?: RecordFormat
  /** Before compression; a larger batch is several objects. @default 8 MiB */
  readonly maxObjectBytes?: number
  /** @default 30 seconds */
  readonly timeoutMs?: number
  /** Epoch milliseconds. @default Date.now */
  readonly clock?: () => number
}

type Piece = { readonly text: string; readonly seq: number; readonly log: string }
type Put = (key: string, body: Uint8Array, signal: AbortSignal) => Promise<void>

const DAY_MS = 86_400_000
/** 2^53 has 16 digits: keys sort as their entries do. */
const DIGITS = 16
const compress = promisify(gzip)

/** @throws AuditError AUDIT_SINK_FAILED when `@aws-sdk/client-s3` is not installed */
export function createS3Sink(options: S3SinkOptions): Sink {
  checkInstalled()
  const { bucket, prefix = '', compression = 'none', record = formatJsonl } = options
  const { maxObjectBytes = 8 * 1024 * 1024, timeoutMs = 30_000 } = options
  const extension = compression === 'gzip' ? 'jsonl.gz' : 'jsonl'
  let client: Promise<Client> | undefined

  const put: Put = async (key, body, signal) => {
    try {
      await (
        await (client ??= connect(options))
      ).put(key, body, AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]))
    } catch (error) {
      signal.throwIfAborted()
      if (error instanceof AuditError) throw error
      const reason = error instanceof Error ? error.name : String(error)
      throw new AuditError('AUDIT_SINK_FAILED', `${bucket} did not take ${key}: ${reason}`, { cause: error })
    }
  }

  return {
    async write(entries: readonly FollowedEntry[], signal) {
      const pieces = entries.map((one): Piece => ({ text: record(one), seq: one.seq, log: one.entry.log }))
      for (const piece of piecesOf(pieces, maxObjectBytes)) {
        const body = Buffer.from(piece.map(({ text }) => `${text}\n`).join(''))
        await put(`${prefix}${keyOf(piece)}.${extension}`, compression === 'gzip' ? await compress(body) : body, signal)
      }
    },
    async [Symbol.asyncDispose]() {
      await client?.then(({ close }) => close()).catch(() => undefined) // A client that was never made needs no closing.
    },
  }
}

function checkInstalled(): void {
  try {
    import.meta.resolve('@aws-sdk/client-s3')
  } catch (cause) {
    throw new AuditError('AUDIT_SINK_FAILED', 'S3 needs the package @aws-sdk/client-s3: install it', { cause })
  }
}

/** Names of logs have slashes, and are not for a path to interpret. */
function keyOf(piece: readonly Piece[]): string {
  const [first] = piece
  const last = piece.at(-1)
  if (first === undefined || last === undefined) throw new RangeError('no entries')
  const position = (seq: number): string => String(seq).padStart(DIGITS, '0')
  return `${sha256(first.log).toString('hex', 0, 16)}/${position(first.seq)}-${position(last.seq)}`
}

type Client = { readonly put: Put; readonly close: () => void }

async function connect(options: S3SinkOptions): Promise<Client> {
  const { bucket, region, endpoint, credentials, objectLock, compression, clock = Date.now } = options
  const { S3Client, PutObjectCommand } = await import('@aws-sdk/client-s3')
  const client = new S3Client({
    region,
    // The follower tries again, and later each time.
    maxAttempts: 1,
    ...(endpoint !== undefined && { endpoint, forcePathStyle: true }),
    ...(credentials && { credentials }),
  })
  return {
    async put(key, body, signal) {
      const lock = objectLock && {
        ObjectLockMode: objectLock.mode,
        ObjectLockRetainUntilDate: new Date(clock() + objectLock.retainDays * DAY_MS),
      }
      const command = new PutObjectCommand({
        Bucket: bucket,
        Key: key,
        Body: body,
        ContentType: 'application/x-ndjson',
        // Object lock demands a checksum, and all others profit from one.
        ChecksumAlgorithm: 'SHA256',
        ...(compression === 'gzip' && { ContentEncoding: 'gzip' }),
        ...lock,
      })
      await client.send(command, { abortSignal: signal })
    },
    close: () => client.destroy(),
  }
}

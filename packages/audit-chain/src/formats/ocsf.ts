/**
 * OCSF 1.6.0, class API Activity (6003), as JSON on one line (https://schema.ocsf.io/1.6.0/classes/api_activity).
 * `metadata.uid` is the entry's id, `metadata.sequence` its seq, `metadata.log_name` its log; what the class has no place
 * for is under `unmapped`.
 */
import { leafHash } from '../hash.ts'
import type { RecordFormat } from '../sink.ts'
import { fieldText, type EventFormatOptions, type SecurityEvent, type Severity } from './event.ts'

const VERSION = '1.6.0'
const CATEGORY = 6
const CLASS = 6003
/** A call of a tool may create, read, update or delete; nobody here knows which. */
const OTHER = 99
const SEVERITY: Readonly<Record<Severity, number>> = { info: 1, low: 2, medium: 3, high: 4 }
const STATUS: Readonly<Record<SecurityEvent['outcome'], number>> = { unknown: 0, success: 1, failure: 2 }

export function createOcsfFormat({ product, describe }: EventFormatOptions): RecordFormat {
  return (followed) => {
    const { entry, leaf, fields } = followed
    const { operation, service, actor, outcome, severity, code, durationMs } = describe(followed)
    const disclosed = Object.fromEntries(fields.map(({ name }) => [name, fieldText(followed, name)]))
    return JSON.stringify({
      activity_id: OTHER,
      activity_name: operation,
      category_uid: CATEGORY,
      class_uid: CLASS,
      type_uid: CLASS * 100 + OTHER,
      time: Date.parse(entry.ts),
      severity_id: SEVERITY[severity],
      status_id: STATUS[outcome],
      status_code: code,
      duration: durationMs,
      metadata: {
        version: VERSION,
        uid: entry.id,
        event_code: entry.type,
        sequence: entry.seq,
        log_name: entry.log,
        original_time: entry.ts,
        product: { vendor_name: product.vendor, name: product.name, version: product.version },
      },
      // Each of these two is required, and so is one attribute in it.
      actor: actor === undefined ? { app_name: product.name } : { user: { uid: actor } },
      src_endpoint: { name: actor ?? 'unknown' },
      api: {
        operation,
        service: service === undefined ? undefined : { name: service },
        request: { uid: entry.id },
        response: code === undefined ? undefined : { error: code },
      },
      unmapped: {
        entry_hash: leafHash(leaf).toString('hex'),
        facts: entry.facts,
        ...(fields.length > 0 && { fields: disclosed }),
      },
    })
  }
}

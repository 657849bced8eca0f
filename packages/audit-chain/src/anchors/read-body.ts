import { AuditError } from '../errors.ts'

/** The whole body, when it is not too long: who answers may be anybody. @throws AuditError AUDIT_ANCHOR_FAILED */
export async function readBody(response: Response, maxBytes: number): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  let sizeBytes = 0
  for await (const chunk of response.body ?? []) {
    sizeBytes += chunk.length
    if (sizeBytes > maxBytes) throw new AuditError('AUDIT_ANCHOR_FAILED', `${response.url} sent over ${maxBytes} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

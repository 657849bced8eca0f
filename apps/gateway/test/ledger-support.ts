/** What is in a gateway's audit log, read from its file as the operator's commands read it. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { queryLedger, readLedgerFile, type LedgerRow } from '@mcp-gateway/gateway/ledger'

export type Folder = Disposable & { readonly path: string; readonly database: string; readonly audit: string }

export function folder(): Folder {
  const path = mkdtempSync(join(tmpdir(), 'mcp-gateway-ledger-'))
  return {
    path,
    database: join(path, 'gateway.db'),
    audit: join(path, 'audit.db'),
    [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }),
  }
}

/** Oldest first. */
export async function entriesIn(audit: string): Promise<LedgerRow[]> {
  await using reader = await readLedgerFile(audit)
  const { entries } = await queryLedger(reader, { limit: 1000, withBodies: true })
  return entries.toReversed()
}

export async function callsIn(audit: string): Promise<LedgerRow[]> {
  return (await entriesIn(audit)).filter(({ type }) => type === 'tool.call' || type === 'call')
}

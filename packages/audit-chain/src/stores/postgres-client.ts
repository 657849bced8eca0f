/** What the store needs of a client: a part of what `postgres` (postgres.js) is, so that its handle can be passed as it is. */

export type PostgresRow = Readonly<Record<string, unknown>>

export interface PostgresQueries {
  /** Parameters are `$1`, `$2`, …; with `prepare` the server keeps the plan. Without parameters, several statements may be sent. */
  unsafe(
    query: string,
    parameters?: PostgresParameter[],
    options?: { prepare?: boolean },
  ): PromiseLike<readonly PostgresRow[]>
}

export interface PostgresClient extends PostgresQueries {
  /** One transaction on one connection; queries in it may be sent without waiting for each other. */
  begin<T>(work: (transaction: PostgresQueries) => Promise<T>): Promise<unknown>
  /** One connection for oneself. */
  reserve(): Promise<PostgresQueries & { release(): void }>
}

export type PostgresParameter = string | number | null | Buffer

/** An array literal (PostgreSQL, 8.15.2), which every driver can send: as text. */
export function textArray(items: readonly (string | null)[]): string {
  return `{${items.map((item) => (item === null ? 'NULL' : `"${item.replaceAll(/["\\]/g, String.raw`\$&`)}"`)).join(',')}}`
}

export function bytesArray(items: readonly Uint8Array[]): string {
  return `{${items.map((item) => `"\\\\x${Buffer.from(item.buffer, item.byteOffset, item.byteLength).toString('hex')}"`).join(',')}}`
}

export function numberArray(items: readonly number[]): string {
  return `{${items.join(',')}}`
}

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

/**
 * Many values in one text, a line each, for `string_to_array($1, E'\\n')`. Canonical JSON, ids and subjects have no line
 * breaks, so nothing has to be escaped, here or there: a third faster than array parameters for a batch of entries.
 */
export function lines(items: readonly string[]): string {
  return items.join('\n')
}

/** As `lines`, each to be taken through `decode(…, 'hex')`. */
export function hexLines(items: readonly Uint8Array[]): string {
  return items.map((item) => Buffer.from(item.buffer, item.byteOffset, item.byteLength).toString('hex')).join('\n')
}

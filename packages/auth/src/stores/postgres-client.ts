/** What the stores need of a client: a part of what `postgres` (postgres.js) is, so that its handle can be passed as it is. */

export type PostgresRow = Readonly<Record<string, unknown>>
export type PostgresParameter = string | number | null

export interface PostgresClient {
  /** Parameters are `$1`, `$2`, …; with `prepare` the server keeps the plan. Without parameters, several statements may be sent. */
  unsafe(
    query: string,
    parameters?: PostgresParameter[],
    options?: { prepare?: boolean },
  ): PromiseLike<readonly PostgresRow[]>
}

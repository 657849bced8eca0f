/**
 * What `GET /metrics` shows, and who counts it. All is counted since the process started, over all tenants: the page is for
 * the operator, who runs the servers of all of them. What a page needs to know of the moment it asks for when it is made.
 */
import { performance } from 'node:perf_hooks'
import { createCallMetrics, type CallMetrics } from './call-metrics.ts'
import { createHttpMetrics, type HttpMetrics } from './http-metrics.ts'
import type { ServerStatus } from './supervisor.ts'

export type Metrics = {
  readonly calls: CallMetrics
  readonly http: HttpMetrics
  /** The code of a request that was refused before it could be anything. */
  refused(code: string): void
  readonly authFailures: () => number
  readonly blockedAddresses: () => number
  readonly uptimeMs: () => number
  readonly moment: () => Moment
}

export type Moment = {
  readonly servers: readonly ServerStatus[]
  /** Undefined without an audit log. */
  readonly audit: Backlog | undefined
}

/** Entries that are not in the audit log: those that will be, and those that could not be written since the start. */
export type Backlog = { readonly waiting: number; readonly lost: number }

export function createMetrics(moment: () => Moment): Metrics {
  const startedAt = performance.now()
  let authFailures = 0
  let blockedAddresses = 0
  return {
    calls: createCallMetrics(),
    http: createHttpMetrics(),
    refused(code) {
      if (code.startsWith('AUTH_')) authFailures += 1
      else if (code.startsWith('POLICY_ADDRESS_')) blockedAddresses += 1
    },
    authFailures: () => authFailures,
    blockedAddresses: () => blockedAddresses,
    uptimeMs: () => performance.now() - startedAt,
    moment,
  }
}

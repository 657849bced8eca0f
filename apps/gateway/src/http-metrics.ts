/** How many HTTP requests there were to which route, and how they were answered. Paths are those of routes, never a client's. */
import { performance } from 'node:perf_hooks'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createHistogram, observe, type Histogram } from './histogram.ts'

export type HttpCell = {
  readonly method: string
  readonly path: string
  readonly status: number
  readonly took: Histogram
}

export type HttpMetrics = {
  /** @returns when, for `ended` */
  begun(): number
  /** To be told when nothing more will be done for it here: an event stream may still be open then. */
  ended(req: IncomingMessage, res: ServerResponse, route: string | undefined, begunAt: number): void
  readonly cells: () => readonly HttpCell[]
  readonly active: () => number
}

/** Node reads some thirty others. */
const METHODS: ReadonlySet<string | undefined> = new Set(['GET', 'POST', 'DELETE', 'PUT', 'PATCH', 'HEAD', 'OPTIONS'])
const OTHER = 'other'
/** The client was gone before there was an answer. */
const NO_ANSWER = 499

export function createHttpMetrics(): HttpMetrics {
  const routes = new Map<string, Map<string, Map<number, Histogram>>>()
  let active = 0

  const count = ({ method }: IncomingMessage, res: ServerResponse, path: string, begunAt: number): void => {
    active -= 1
    const byMethod = entryOf(routes, path, () => new Map<string, Map<number, Histogram>>())
    const byStatus = entryOf(byMethod, METHODS.has(method) ? String(method) : OTHER, () => new Map<number, Histogram>())
    const status = res.headersSent ? res.statusCode : NO_ANSWER
    observe(entryOf(byStatus, status, createHistogram), performance.now() - begunAt)
  }

  return {
    begun() {
      active += 1
      return performance.now()
    },
    ended(req, res, route = OTHER, begunAt) {
      if (res.writableEnded || res.destroyed) count(req, res, route, begunAt)
      else res.once('close', () => count(req, res, route, begunAt))
    },
    active: () => active,
    cells: () =>
      Array.from(routes).flatMap(([path, byMethod]) =>
        Array.from(byMethod).flatMap(([method, byStatus]) =>
          Array.from(byStatus, ([status, took]) => ({ method, path, status, took })),
        ),
      ),
  }
}

function entryOf<K, V>(map: Map<K, V>, key: K, create: () => V): V {
  let value = map.get(key)
  if (value === undefined) {
    value = create()
    map.set(key, value)
  }
  return value
}

// The endpoints under test: the fixture itself, and the gateway in front of every kind of upstream.
import { fileURLToPath } from 'node:url'

import { type Gateway, startGateway } from '../support/gateway.ts'
import { type Running, start } from '../support/processes.ts'
import type { Untranslatable } from './verdict.ts'

export type Target = {
  id: string
  title: string
  /** Ids of the suites that make sense here. */
  suites: string[]
  untranslatable?: Untranslatable
  upstream: { kind: 'direct' | 'http' | 'stdio'; era: Era }
}

export type Testbed = AsyncDisposable & {
  urlOf(target: Target): string
  gatewayOutput(): string
}

type Era = 'dual' | 'legacy' | 'modern'

const httpFixture = fileURLToPath(new URL('./fixture/http.ts', import.meta.url))
const stdioFixture = fileURLToPath(new URL('./fixture/stdio.ts', import.meta.url))
const fixtureTimeoutMs = 15_000
const everySuite = ['2025-11-25', '2026-07-28', '0.1.16']

/** The client and the upstream speak the same era; the fixture serves both. */
export const sameEraTargets: Target[] = [
  { id: 'direct', title: 'direct HTTP fixture', suites: everySuite, upstream: { kind: 'direct', era: 'dual' } },
  { id: 'http', title: 'gateway -> HTTP upstream', suites: everySuite, upstream: { kind: 'http', era: 'dual' } },
  { id: 'stdio', title: 'gateway -> stdio upstream', suites: everySuite, upstream: { kind: 'stdio', era: 'dual' } },
]

// A server of the old era has no names for its questions, and when it needs a capability that its client did not declare it
// answers with an error of its own, in which nobody can read what was missing. See docs/LIMITATIONS.md.
const modernToLegacy: Untranslatable = {
  'input-required-result-basic-elicitation': 'a legacy server does not name its elicitations',
  'server-stateless/sep-2575-server-rejects-undeclared-capability': 'a legacy server refuses in words of its own',
  'server-stateless/sep-2575-missing-capability-http-400': 'a legacy server refuses in words of its own',
}

/** The client speaks the era that the upstream does not know, so the gateway translates. */
export const crossEraTargets: Target[] = (['http', 'stdio'] as const).flatMap((kind) => [
  {
    id: `${kind}-legacy`,
    title: `gateway -> legacy-only ${kind}`,
    suites: ['2026-07-28'],
    untranslatable: modernToLegacy,
    upstream: { kind, era: 'legacy' },
  },
  {
    id: `${kind}-modern`,
    title: `gateway -> modern-only ${kind}`,
    suites: ['2025-11-25', '0.1.16'],
    upstream: { kind, era: 'modern' },
  },
])

/** Starts the fixtures and one gateway for all targets. `marker` is put on every fixture's command line. */
export async function openTestbed(targets: Target[], cliMain: string, marker: string): Promise<Testbed> {
  await using stack = new AsyncDisposableStack()
  const fixtureUrls = new Map<Era, string>()
  for (const era of new Set(
    targets.filter(({ upstream }) => upstream.kind !== 'stdio').map(({ upstream }) => upstream.era),
  )) {
    const fixture: Running = stack.use(start({ command: process.execPath, args: [httpFixture, '--era', era, marker] }))
    const [url] = await fixture.matches(/http:\/\/\S+/, fixtureTimeoutMs)
    fixtureUrls.set(era, url)
  }

  const behind = targets.filter(({ upstream }) => upstream.kind !== 'direct')
  let gateway: Gateway | undefined
  if (behind.length > 0) {
    gateway = await startGateway(cliMain, {
      auth: { type: 'none' },
      servers: behind.map(({ id, upstream: { kind, era } }) =>
        kind === 'stdio'
          ? { id, command: process.execPath, args: [stdioFixture, '--era', era, marker] }
          : { id, url: fixtureUrls.get(era) ?? '' },
      ),
    })
    stack.use(gateway)
  }

  const started = stack.move()
  return {
    urlOf: ({ id, upstream: { kind, era } }) =>
      kind === 'direct' ? (fixtureUrls.get(era) ?? '') : `${gateway?.origin}/mcp/server/${id}`,
    gatewayOutput: () => gateway?.output() ?? '',
    [Symbol.asyncDispose]: () => started.disposeAsync(),
  }
}

/**
 * Rules between settings, which a schema of single values cannot say. They read the raw file, so that they are
 * reported together with wrong keys and types; whatever has the wrong type is the schema's to report and is skipped.
 */
import { createHash } from 'node:crypto'
import { checkPolicySections } from './policy-config.ts'
import { isLoopback } from './guard.ts'
import { OWN_ID } from './own-server.ts'
import type { Path, Problem } from './config-findings.ts'

type Raw = Readonly<Record<string, unknown>>

export function checkAcross(value: unknown): Problem[] {
  const file = map(value)
  const keys = list(map(file['auth'])['keys'])
  const servers = list(file['servers'])
  return [
    ...checkReach(file),
    ...checkPolicySections(file),
    ...checkAudit(map(file['audit'])),
    ...checkStorage(map(file['audit'])),
    ...keys.flatMap((key, index) => checkKey(map(key), ['auth', 'keys', index, 'key'])),
    ...servers.flatMap((server, index) => checkServer(server, ['servers', index])),
    ...duplicates(keys, 'id', ['auth', 'keys'], 'is the id of another key'),
    ...duplicates(keys.map(withDigest), 'key', ['auth', 'keys'], 'is the key of another entry'),
    ...duplicates(servers, 'id', ['servers'], 'is the id of another server'),
  ]
}

/** Whoever reaches the port could call every tool with the servers' secrets. */
function checkReach(file: Raw): Problem[] {
  const host = file['host']
  if (map(file['auth'])['type'] !== 'none' || typeof host !== 'string' || isLoopback(host)) return []
  const message = `"${host}" is reachable from other machines and auth.type is "none": use auth.type "api-key" or 127.0.0.1`
  return [{ path: ['host'], message }]
}

function checkStorage({ storage, dsn }: Raw): Problem[] {
  if (storage === 'postgres' && dsn === undefined)
    return [{ path: ['audit', 'storage'], message: 'is "postgres", which needs audit.dsn: say which database' }]
  if (storage !== 'postgres' && dsn !== undefined)
    return [{ path: ['audit', 'dsn'], message: 'means nothing without `storage: postgres`', at: 'key' }]
  return []
}

function checkKey({ key }: Raw, path: Path): Problem[] {
  if (typeof key !== 'string') return []
  if (key.startsWith('sha256:')) {
    return /^sha256:[0-9a-f]{64}$/.test(key) ? [] : [{ path, message: '"sha256:" needs 64 lower-case hex digits' }]
  }
  if (!key.startsWith('gw_')) {
    return [{ path, message: 'must start with "gw_" or "sha256:"; make one with `mcp-gateway keys create`' }]
  }
  // Not a measure of strength, only a net for "gw_test" and "gw_your_key_here" left in a file.
  return /^gw_[A-Za-z0-9_-]{20,500}$/.test(key)
    ? []
    : [{ path, message: 'is too short to be a secret; make one with `mcp-gateway keys create`' }]
}

function checkServer(value: unknown, path: Path): Problem[] {
  const server = map(value)
  if (server !== value) return []
  if (server['id'] === OWN_ID) {
    return [{ path: [...path, 'id'], message: `"${OWN_ID}" is the gateway itself; choose another id` }]
  }
  const local = 'command' in server
  if (local === 'url' in server) {
    const message = local
      ? 'has both "command" and "url": a server is either a local program or a remote address'
      : 'needs "command" (a local program) or "url" (a remote address)'
    return [{ path, message }]
  }
  const foreign = local ? ['transport', 'headers', 'auth'] : ['args', 'env', 'cwd']
  const owner = local ? 'url' : 'command'
  return foreign
    .filter((key) => key in server)
    .map((key) => ({ path: [...path, key], message: `belongs to a server with "${owner}"`, at: 'key' as const }))
}

/** Where a log of one region would leave it, and what contradicts itself. */
function checkAudit(audit: Raw): Problem[] {
  const exports = list(audit['export'])
  return [
    ...exports.flatMap((one, index) => {
      const path = ['audit', 'export', index]
      return [...checkRegion(map(one), audit['region'], path), ...checkCredentials(map(one), path)]
    }),
    ...duplicates(list(audit['witnesses']), 'key', ['audit', 'witnesses'], 'is the key of another witness'),
    ...duplicates(exports, 'name', ['audit', 'export'], 'is the name of another export'),
    ...duplicates(exports, 'path', ['audit', 'export'], 'is the file of another export'),
  ]
}

function checkRegion({ type, region, awsRegion, endpoint }: Raw, logRegion: unknown, path: Path): Problem[] {
  const at = [...path, 'region']
  if (typeof logRegion !== 'string') {
    const message = 'means nothing without audit.region: say where the log may be'
    return region === undefined || logRegion !== undefined ? [] : [{ path: at, message }]
  }
  if (region === undefined) {
    const message = `has no region, and the log must stay in "${logRegion}": say where it keeps what it gets`
    return [{ path, message }]
  }
  if (typeof region !== 'string') return []
  if (region !== logRegion) return [{ path: at, message: `is "${region}", and the log must stay in "${logRegion}"` }]
  // Amazon's own names tell: a bucket in us-east-1 is not in the EU, whatever it is marked.
  if (type !== 's3' || endpoint !== undefined || typeof awsRegion !== 'string') return []
  if (!GEOGRAPHIES.has(region) || awsRegion.startsWith(`${region}-`)) return []
  return [{ path: [...path, 'awsRegion'], message: `"${awsRegion}" is not in "${region}"` }]
}

const GEOGRAPHIES = new Set('af ap ca cn eu il me mx sa us'.split(' '))

function checkCredentials(one: Raw, path: Path): Problem[] {
  const hasId = 'accessKeyId' in one
  if (hasId === 'secretAccessKey' in one) return []
  return [{ path, message: `has "${hasId ? 'accessKeyId' : 'secretAccessKey'}" without "${hasId ? 'secretAccessKey' : 'accessKeyId'}"` }] // prettier-ignore
}

function duplicates(items: readonly unknown[], key: string, path: Path, message: string): Problem[] {
  const seen = new Set<unknown>()
  return items.flatMap((item, index) => {
    const value = map(item)[key]
    if (typeof value !== 'string') return []
    if (seen.has(value)) return [{ path: [...path, index, key], message }]
    seen.add(value)
    return []
  })
}

/** A plain key and its own hash are the same key. */
function withDigest(item: unknown): Raw {
  const { key } = map(item)
  if (typeof key !== 'string' || !key.startsWith('gw_')) return map(item)
  return { key: `sha256:${createHash('sha256').update(key).digest('hex')}` }
}

function map(value: unknown): Raw {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Raw) : {}
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

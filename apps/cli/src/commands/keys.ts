/** `keys create|list|revoke`: API keys in the configuration file. Only their hashes are stored. */
import { randomBytes } from 'node:crypto'
import { generateApiKey } from '@mcp-gateway/auth'
import { readKeyUse } from '@mcp-gateway/gateway'
import { append, entriesOf, openConfig, save, setField, type Entry } from '../config-document.ts'
import { databaseOf, shown } from '../config-file.ts'
import { reply, table, type Context } from '../context.ts'
import { CliError } from '../errors.ts'

export type CreateKeyOptions = {
  readonly name: string
  readonly consumerId: string
  readonly roles: readonly string[]
  readonly id?: string
  /** ISO date or time, or "30d", "12h". */
  readonly expires?: string
}

const RELOADED = 'A gateway that is running takes the change over at once.'

export function createKey(context: Context, { name, consumerId, roles, id, expires }: CreateKeyOptions): void {
  const document = openConfig(context)
  const taken = new Set(entriesOf(document, 'keys').map((entry) => entry['id']))
  if (id !== undefined && taken.has(id)) throw new CliError('CLI_FAILED', `there is a key "${id}" already`)
  const { key, hash } = generateApiKey()
  const expiresAt = expires === undefined ? undefined : parseExpiry(expires, Date.now())
  const entry = {
    id: id ?? freeId(taken),
    key: hash,
    name,
    consumerId,
    roles,
    ...(expiresAt !== undefined && { expiresAt }),
  }
  append(document, 'keys', entry)
  save(context, document)
  const file = shown(context, document.file)
  const text = `${key}\n\n  This is the key "${entry.id}" of ${consumerId}, shown this once: ${file} has only its hash.\n  ${RELOADED}`
  reply(context, { ...entry, key, config: document.file }, text)
}

export function listKeys(context: Context): void {
  const document = openConfig(context)
  const uses = readKeyUse(databaseOf(document.file))
  const keys = entriesOf(document, 'keys').map((entry) => ({
    id: String(entry['id']),
    name: String(entry['name'] ?? entry['id']),
    consumerId: String(entry['consumerId']),
    roles: rolesOf(entry),
    enabled: entry['enabled'] !== false,
    ...(entry['expiresAt'] !== undefined && {
      expiresAt: new Date(entry['expiresAt'] as string | number).toISOString(),
    }),
    ...lastUsed(uses.get(String(entry['id']))),
  }))
  const rows = keys.map(({ id, name, consumerId, roles, enabled, expiresAt, lastUsedAt }) => {
    const expired = expiresAt !== undefined && Date.parse(expiresAt) <= Date.now()
    return [
      id,
      name,
      consumerId,
      roles.join(','),
      enabled ? (expired ? 'expired' : 'enabled') : 'revoked',
      expiresAt ?? '',
      lastUsedAt ?? '',
    ]
  })
  const text = rows.length === 0 ? `${shown(context, document.file)} has no keys.` : table([header, ...rows])
  reply(context, { keys }, text)
}

const header = ['ID', 'NAME', 'CONSUMER', 'ROLES', 'STATE', 'EXPIRES', 'LAST USED']

/** The entry stays, disabled: what a key did remains attributable to it. */
export function revokeKey(context: Context, id: string): void {
  const document = openConfig(context)
  const ids = entriesOf(document, 'keys').map((entry) => String(entry['id']))
  if (!ids.includes(id)) {
    const hint = ids.length === 0 ? 'There are no keys.' : `There is ${ids.map((known) => `"${known}"`).join(', ')}.`
    throw new CliError('CLI_NOT_FOUND', `there is no key "${id}" in ${shown(context, document.file)}`, { hint })
  }
  setField(document, 'keys', id, 'enabled', false)
  save(context, document)
  reply(context, { id, enabled: false, config: document.file }, `Revoked "${id}". ${RELOADED}`)
}

/** The old secret stays good for `overlap`, so that whoever has it can be given the new one in peace. */
export function rotateKey(context: Context, id: string, { overlap }: { readonly overlap: string }): void {
  const document = openConfig(context)
  const entry = entriesOf(document, 'keys').find((known) => known['id'] === id)
  if (entry === undefined) throw new CliError('CLI_NOT_FOUND', `there is no key "${id}" in ${shown(context, document.file)}`) // prettier-ignore
  const { key, hash } = generateApiKey()
  const until = parseExpiry(overlap, Date.now(), '--overlap')
  setField(document, 'keys', id, 'previous', { key: String(entry['key']), expiresAt: until })
  setField(document, 'keys', id, 'key', hash)
  save(context, document)
  const text = `${key}\n\n  This is the new key "${id}", shown this once. The one before it is good until ${until}.\n  ${RELOADED}`
  reply(context, { id, key, previousUntil: until, config: document.file }, text)
}

function lastUsed(at: number | undefined): { readonly lastUsedAt?: string } {
  return at === undefined ? {} : { lastUsedAt: new Date(at).toISOString() }
}

/** A date with or without a time, or a number of days or hours from now. As ISO text, for people who read the file. */
function parseExpiry(text: string, now: number, option = '--expires'): string {
  const span = /^(\d{1,5})([dh])$/.exec(text)
  const time = span === null ? Date.parse(text) : now + Number(span[1]) * (span[2] === 'd' ? 86_400_000 : 3_600_000)
  const isDate = span !== null || /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2}))?$/.test(text)
  if (!isDate || Number.isNaN(time)) {
    throw new CliError(
      'CLI_USAGE',
      `${option} must be a date (2027-01-31), a time with a zone, or 30d or 12h; not "${text}"`,
    )
  }
  if (time <= now) throw new CliError('CLI_USAGE', `${option} ${text} is in the past`)
  return new Date(time).toISOString()
}

function freeId(taken: ReadonlySet<unknown>): string {
  for (;;) {
    const id = `key-${randomBytes(4).toString('hex')}`
    if (!taken.has(id)) return id
  }
}

function rolesOf({ roles }: Entry): readonly string[] {
  return Array.isArray(roles) ? roles.map(String) : []
}

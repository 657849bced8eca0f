/**
 * Servers out of another program's file: `mcpServers` (Claude Desktop, Claude Code, Cursor) or `servers` (VS Code), JSON
 * with comments. No secret is copied: what looks like one becomes `${NAME}`, and the caller is told what to export.
 */
import { parse, printParseErrorCode, type ParseError } from 'jsonc-parser'
import { CliError } from './errors.ts'
import { translateReferences, variableName } from './references.ts'
import { looksSecret } from './secrets.ts'

export type ImportOptions = {
  /** The file, as it is to be named to a person. */
  readonly origin: string
  readonly cwd: string
  readonly home: string
  /** Ids that exist already. */
  readonly taken: Iterable<string>
}

export type Import = {
  /** Entries for `servers:`. */
  readonly servers: readonly (Readonly<Record<string, unknown>> & { readonly id: string })[]
  /** Variables that must be set before the gateway starts, and where their values are now. */
  readonly exports: readonly { readonly name: string; readonly where: string }[]
  readonly skipped: readonly { readonly name: string; readonly reason: string }[]
  readonly notes: readonly string[]
}

type Json = Readonly<Record<string, unknown>>
type Draft = ImportOptions & {
  readonly exports: Import['exports'][number][]
  readonly notes: string[]
  /** What each variable will have to hold, to give two different values two names. */
  readonly values: Map<string, string>
}

export function importServers(text: string, options: ImportOptions): Import {
  const draft: Draft = { ...options, exports: [], notes: [], values: new Map() }
  const servers: Import['servers'][number][] = []
  const skipped: Import['skipped'][number][] = []
  const ids = new Set(options.taken)
  for (const [name, value] of Object.entries(serversIn(text, options))) {
    const entry = map(value)
    const reason = reasonToSkip(entry)
    if (reason !== undefined) {
      skipped.push({ name, reason })
      continue
    }
    const id = freeId(name, ids)
    ids.add(id)
    servers.push({ ...toServer(id, entry, draft), ...(id !== name && name !== '' && { name }) })
  }
  return { servers, skipped, exports: unique(draft.exports), notes: draft.notes }
}

function serversIn(text: string, { origin, cwd }: ImportOptions): Json {
  const errors: ParseError[] = []
  const root: unknown = parse(text.replace(/^\uFEFF/, ''), errors, {
    allowTrailingComma: true,
    disallowComments: false,
  })
  const [error] = errors
  if (error !== undefined) {
    const line = text.slice(0, error.offset).split('\n').length
    throw new CliError('CLI_FAILED', `${origin}:${line} is not JSON: ${printParseErrorCode(error.error)}`)
  }
  const file = map(root)
  // ~/.claude.json keeps the servers of a project under its path; VS Code's settings.json under `mcp`.
  const project = map(map(file['projects'])[cwd])
  const found = [file['mcpServers'], file['servers'], map(file['mcp'])['servers'], project['mcpServers']]
  if (found.every((value) => value === undefined)) {
    throw new CliError('CLI_FAILED', `${origin} has neither "mcpServers" nor "servers"`)
  }
  return Object.assign({}, ...found.map(map)) as Json
}

function reasonToSkip(entry: Json): string | undefined {
  const { command, url, type } = entry
  const words = [command, ...list(entry['args'])].map(String)
  if (words.some((word) => /(^|[/\\])(mcp-gateway|@mcp-gateway\/cli)(@|$)/.test(word)))
    return 'it is the gateway itself'
  if (type === 'ws') return 'its transport is ws'
  if (typeof command === 'string' && command !== '') return undefined
  if (typeof url !== 'string') return 'it has neither command nor url'
  if (url.startsWith('unix:') || url.startsWith('pipe:')) return 'it listens on a socket file'
  const { username, password } = URL.parse(url) ?? { username: '', password: '' }
  if (username !== '' || password !== '') return 'its URL holds a password; put it into a header'
  return undefined
}

function toServer(id: string, entry: Json, draft: Draft): Readonly<Record<string, unknown>> & { readonly id: string } {
  if (entry['envFile'] !== undefined) draft.notes.push(`${id}: its envFile is not read; name its variables under env`)
  if (entry['headersHelper'] !== undefined) draft.notes.push(`${id}: its headersHelper is not run`)
  if (entry['oauth'] !== undefined)
    draft.notes.push(`${id}: its OAuth login is not taken along; put a token into a header`)
  const disabled = entry['disabled'] === true || entry['enabled'] === false ? { enabled: false } : {}
  const { command, url, type, cwd } = entry
  if (typeof command !== 'string' || command === '') {
    const headers = record(entry['headers'], (name, value) => headerText(id, name, value, draft))
    const sse = type === 'sse' ? { transport: 'sse' } : {}
    return { id, url: urlText(id, String(url), draft), ...sse, ...(headers && { headers }), ...disabled }
  }
  const args = argsText(id, list(entry['args']).map(String), draft)
  const env = record(entry['env'], (name, value) => plainText(id, name, value, draft, name))
  return {
    id,
    command: translated(id, command, draft),
    ...(args.length > 0 && { args }),
    ...(env && { env }),
    ...(typeof cwd === 'string' && { cwd: translated(id, cwd, draft) }),
    ...disabled,
  }
}

/** A value, or a reference to `variable` when the value is a secret. */
function plainText(id: string, name: string, value: string, draft: Draft, variable: string): string {
  if (!looksSecret(name, value)) return translated(id, value, draft)
  const preferred = /^[A-Za-z_]\w*$/.test(variable) ? variable : variableName(id, variable)
  // Two servers may give one name two values.
  const isFree = (draft.values.get(preferred) ?? value) === value
  const chosen = isFree ? preferred : variableName(id, preferred)
  draft.values.set(chosen, value)
  draft.exports.push({ name: chosen, where: `${id}: ${name === '' ? 'an argument' : name} in ${draft.origin}` })
  return `\${${chosen}}`
}

function headerText(id: string, name: string, value: string, draft: Draft): string {
  const [, scheme = '', secret = value] = /^((?:Bearer|Basic|Token) +)(.+)$/i.exec(value) ?? []
  const variable = scheme === '' ? variableName(id, name) : variableName(id, 'token')
  return `${scheme}${plainText(id, scheme === '' ? name : 'token', secret, draft, variable)}`
}

function argsText(id: string, args: readonly string[], draft: Draft): string[] {
  return args.map((value, index) => {
    const [, flag = '', inline] = /^(--?[\w-]+|[A-Za-z_]\w*)=(.*)$/s.exec(value) ?? []
    if (inline !== undefined) {
      const variable = flag.startsWith('-') ? variableName(id, flag) : flag
      return `${flag}=${plainText(id, flag, inline, draft, variable)}`
    }
    // mcp-remote and others: --header "Authorization: Bearer …"
    const [, header, space = '', text = ''] = /^([A-Za-z][A-Za-z0-9-]*):(\s*)(?!\/\/)(.+)$/s.exec(value) ?? []
    const before = args[index - 1] ?? ''
    if (header !== undefined && /^(-H|--header)$/.test(before)) {
      return `${header}:${space}${headerText(id, header, text, draft)}`
    }
    const flagBefore = /^--?[A-Za-z]/.test(before) && !value.startsWith('-') ? before : ''
    return plainText(
      id,
      flagBefore,
      value,
      draft,
      variableName(id, flagBefore === '' ? `arg_${index + 1}` : flagBefore),
    )
  })
}

function urlText(id: string, url: string, draft: Draft): string {
  if (!looksSecret('url', url)) return translated(id, url, draft)
  return plainText(id, 'url', url, draft, variableName(id, 'url'))
}

function translated(id: string, value: string, draft: Draft): string {
  const { text, asked, named, unknown } = translateReferences(value, draft)
  for (const name of named) draft.exports.push({ name, where: `${id}: referred to in ${draft.origin}` })
  for (const { name, input } of asked)
    draft.exports.push({ name, where: `${id}: the answer to "${input}" in ${draft.origin}` })
  for (const reference of unknown) draft.notes.push(`${id}: ${reference} has no meaning here and is kept as text`)
  return text
}

function freeId(name: string, taken: ReadonlySet<string>): string {
  const base =
    name
      .toLowerCase()
      .replaceAll(/[^a-z0-9]+/g, '-')
      .replaceAll(/^-+|-+$/g, '')
      .slice(0, 28) || 'server'
  for (let count = 1; ; count += 1) {
    const id = count === 1 ? base : `${base}-${count}`
    if (!taken.has(id)) return id
  }
}

function unique(exports: Import['exports']): Import['exports'] {
  return [...new Map(exports.toReversed().map((item) => [item.name, item])).values()].toReversed()
}

function record(value: unknown, convert: (name: string, text: string) => string): Record<string, string> | undefined {
  const entries = Object.entries(map(value)).filter(([, item]) => item !== null && item !== undefined)
  return entries.length === 0
    ? undefined
    : Object.fromEntries(entries.map(([name, item]) => [name, convert(name, String(item))]))
}

function map(value: unknown): Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : {}
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

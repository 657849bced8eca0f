/** `init`: a configuration with a first key, and the servers other MCP clients on this machine already have. */
import { existsSync, readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { clientFiles, existingClientFiles, isClient, type ClientFile } from '../client-files.ts'
import { importServers, type Import } from '../client-import.ts'
import { DEFAULT_FILE, DEFAULT_PORT, DEMO_FOLDER, parsePort, shown } from '../config-file.ts'
import { reply, type Context } from '../context.ts'
import { createConfig, problemOf } from '../create-config.ts'
import { demoServers } from '../demo.ts'
import { CliError } from '../errors.ts'

export type InitOptions = {
  readonly yes?: boolean
  readonly force?: boolean
  readonly demo?: boolean
  readonly port?: string
  /** Files, or names of clients. */
  readonly from: readonly string[]
}

type Answers = { readonly files: readonly string[]; readonly demo: boolean; readonly port: number }

export async function init(context: Context, options: InitOptions): Promise<void> {
  const file = resolve(context.cwd, context.config ?? DEFAULT_FILE)
  if (existsSync(file) && options.force !== true) {
    throw new CliError('CLI_FILE_EXISTS', `${shown(context, file)} exists`, { hint: 'Replace it with --force.' })
  }
  const given = {
    files: options.from.flatMap((source) => sourceFiles(context, source)),
    demo: options.demo === true,
    port: options.port === undefined ? DEFAULT_PORT : parsePort(options.port, '--port'),
  }
  const asks = context.isInteractive && options.yes !== true && !context.json
  const { files, demo, port } = asks ? await ask(context, given) : given

  const imported = files.map((source) => ({ source, ...importFile(context, source) }))
  const merged = mergeImports(context, imported, demo ? demoServers(context, resolve(dirname(file), DEMO_FOLDER)) : [])
  const created = createConfig(context, { file, port, servers: merged.servers, force: options.force === true })

  const ids = merged.servers.map(({ id }) => id)
  const { exports, skipped, notes } = merged
  const data = { config: file, key: created.key, keyId: created.keyId, servers: ids, exports, skipped, notes }
  reply(context, data, describe(context, file, created.key, merged))
}

type Merged = Pick<Import, 'servers' | 'exports' | 'skipped' | 'notes'>

function importFile(context: Context, file: string): Import {
  const { cwd, home } = context
  return importServers(readFileSync(file, 'utf8'), { origin: shown(context, file), cwd, home, taken: [] })
}

/** A server that two clients have is one server; the first file wins. */
function mergeImports(context: Context, imports: readonly Import[], demo: Import['servers']): Merged {
  const servers: Import['servers'][number][] = []
  const skipped = imports.flatMap((one) => one.skipped)
  for (const server of [...imports.flatMap((one) => one.servers), ...demo]) {
    const problem = problemOf(server)
    if (servers.some(({ id }) => id === server.id))
      skipped.push({ name: server.id, reason: 'another file has it, too' })
    else if (problem !== undefined) skipped.push({ name: server.id, reason: problem })
    else servers.push(server)
  }
  const isKept = (text: string): boolean => servers.some(({ id }) => text.startsWith(`${id}: `))
  const exports = [...new Map(imports.flatMap((one) => one.exports).map((item) => [item.name, item])).values()]
  return {
    servers,
    skipped,
    // What is set already needs no telling.
    exports: exports.filter(({ name, where }) => isKept(where) && context.env[name] === undefined),
    notes: imports.flatMap((one) => one.notes).filter(isKept),
  }
}

function sourceFiles(context: Context, source: string): readonly string[] {
  if (!isClient(source)) {
    const file = resolve(context.cwd, source)
    if (existsSync(file)) return [file]
    throw new CliError('CLI_NOT_FOUND', `--from ${source}: there is no such file`)
  }
  const own = clientFiles(context).filter(({ client }) => client === source)
  const found = own.filter(({ file }) => existsSync(file)).map(({ file }) => file)
  if (found.length > 0) return found
  throw new CliError('CLI_NOT_FOUND', `--from ${source}: none of its files exists`, {
    hint: `Looked for ${own.map(({ file }) => file).join(', ')}.`,
  })
}

async function ask(context: Context, given: Answers): Promise<Answers> {
  const { cancel, confirm, intro, isCancel, multiselect, text } = await import('@clack/prompts')
  const answered = <T>(value: T): Exclude<T, symbol> => {
    if (!isCancel(value)) return value as Exclude<T, symbol>
    cancel('Nothing was written.')
    throw new CliError('CLI_FAILED', 'cancelled')
  }
  intro('A new MCP gateway')
  const candidates = given.files.length > 0 ? [] : importable(context)
  const files =
    candidates.length === 0
      ? given.files
      : answered(
          await multiselect({
            message: 'Take servers over from? (space selects, enter goes on)',
            options: candidates.map(({ file, client, count }) => {
              return { value: file, label: client, hint: `${shown(context, file)}, servers: ${count}` }
            }),
            required: false,
          }),
        )
  const demo =
    given.demo ||
    answered(
      await confirm({ message: 'Add two demo servers (everything, filesystem)?', initialValue: files.length === 0 }),
    )
  const validate = (value: string | undefined): string | undefined =>
    /^\d{1,5}$/.test(value ?? '') && Number(value) <= 65_535 ? undefined : 'A number from 0 to 65535'
  const port = answered(await text({ message: 'Port', initialValue: String(given.port), validate }))
  return { files, demo, port: Number(port) }
}

function importable(context: Context): readonly (ClientFile & { readonly count: number })[] {
  return existingClientFiles(context).flatMap((found) => {
    try {
      const count = importFile(context, found.file).servers.length
      return count === 0 ? [] : [{ ...found, count }]
    } catch (error) {
      // A client's file that is broken or has no servers is not offered; --from says why.
      if (error instanceof CliError) return []
      throw error
    }
  })
}

function describe(context: Context, file: string, key: string, { servers, exports, skipped, notes }: Merged): string {
  const lines = [
    `Wrote ${shown(context, file)}.`,
    '',
    `  API key  ${key}`,
    '           shown this once: the file has only its hash',
    `  Servers  ${servers.map(({ id }) => id).join(', ') || 'none yet: mcp-gateway servers add --help'}`,
  ]
  if (exports.length > 0) {
    lines.push('', 'Secrets were not copied. Set these before you start the gateway:', '')
    const width = Math.max(...exports.map(({ name }) => name.length))
    lines.push(...exports.map(({ name, where }) => `  export ${name}=…${' '.repeat(width - name.length)}  # ${where}`))
  }
  if (skipped.length > 0)
    lines.push('', 'Not taken over:', ...skipped.map(({ name, reason }) => `  ${name}: ${reason}`))
  if (notes.length > 0) lines.push('', 'Mind:', ...notes.map((note) => `  ${note}`))
  lines.push('', 'Next: mcp-gateway serve, then mcp-gateway connect claude-code (or cursor, vscode, claude-desktop).')
  return lines.join('\n')
}

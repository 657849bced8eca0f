/** `audit verify|proof|checkpoint|erase`: whether the log is what was written, showing it to others, and forgetting on demand. */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import {
  bundleLedger,
  checkPlace,
  openLedger,
  predecessorsOf,
  type EraseRequest,
  type LedgerFile,
  type MetaCheck,
} from '@mcp-gateway/gateway/ledger'
import { auditPlace, explained, seenOf, type AuditFileOptions, type SeenOptions } from '../audit-file.ts'
import { reply, type Context } from '../context.ts'
import { CliError } from '../errors.ts'

/** A second or so apart. */
const PROGRESS_EVERY = 102_400
const MAX_SHOWN = 50

export async function verifyLog(
  context: Context,
  options: AuditFileOptions & { readonly checkpoint: readonly string[] },
): Promise<void> {
  const { findings, size, signedSize, rememberedSize, rootHash, meta } = await checked(context, options)
  const facts = {
    intact: findings.length === 0,
    entries: size,
    signedEntries: signedSize,
    rememberedEntries: rememberedSize,
    rootHash: Buffer.from(rootHash).toString('hex'),
    ...(meta && { meta }),
  }
  const problem = meta?.problem
  if (findings.length === 0 && problem !== undefined)
    throw new CliError('CLI_AUDIT_UNCHECKED', `could not check all of the meta-log: ${problem}`, {
      data: { ...facts, findings },
    })
  if (findings.length === 0) {
    const covered = `A signed checkpoint covers ${signedSize} of them, one kept elsewhere ${rememberedSize}.${metaText(meta)}`
    reply(context, { ...facts, findings }, `Intact: ${size} entries. ${covered}`)
    return
  }
  const shown = findings.slice(0, MAX_SHOWN).map(({ code, message }) => `  ${code}: ${message}`)
  const more = findings.length > MAX_SHOWN ? [`  and ${findings.length - MAX_SHOWN} more; see --json`] : []
  const text = [`tampered: the log is not what was written`, ...shown, ...more].join('\n')
  throw new CliError('CLI_AUDIT_TAMPERED', text, { data: { ...facts, findings } })
}

function metaText(meta: MetaCheck | undefined): string {
  if (meta === undefined) return '\nThere is no meta-log yet.'
  const { entries, signedEntries, logs, behind } = meta
  const late = behind.map(
    ({ log, signed, recorded }) =>
      `\n  behind: ${log} was signed with size ${signed}, and ${recorded} is recorded; its next checkpoint does that`,
  )
  return [
    `\nThe meta-log has ${entries} checkpoints, ${signedEntries} of them signed for; each agrees with its log (${logs} compared).`,
    ...late,
  ].join('')
}

async function checked(context: Context, options: AuditFileOptions & { readonly checkpoint: readonly string[] }) {
  try {
    const remembered = options.checkpoint.map((path) => readFileSync(resolve(context.cwd, path), 'utf8'))
    const place = auditPlace(context, options)
    let told = 0
    const onProgress = (done: number, total: number): void => {
      // Logs are checked one after the other.
      if (done < told) told = 0
      if (done - told < PROGRESS_EVERY) return
      told = done
      context.note(`${done} of ${total} entries checked (${Math.floor((done / total) * 100)} %)`)
    }
    return await checkPlace(place, {
      remembered,
      onProgress,
      everyLog: options.tenant === undefined && options.file === undefined,
    })
  } catch (error) {
    // Not "intact" and not "tampered": a script must be able to tell.
    const reason = error instanceof Error ? error.message : String(error)
    throw new CliError('CLI_AUDIT_UNCHECKED', `could not check: ${reason}`, { cause: error })
  }
}

export async function proveEntry(
  context: Context,
  id: string,
  options: AuditFileOptions & SeenOptions & { readonly bodies?: boolean },
): Promise<void> {
  await explained(async () => {
    await using file = await openLedger(auditPlace(context, options))
    const proof = await file.keys.prove(file.log, id)
    const lines: string[] = []
    const bundle = { id, withBodies: options.bodies === true, ...seenOf(context, options) }
    for await (const line of bundleLedger(file, bundle)) lines.push(line)
    reply(context, proof, lines.join('\n'))
    const metaKey = proof.meta === undefined ? '' : ` --key '${proof.meta.verifierKey}'`
    context.note(`Check it with mcp-gateway-verify --key '${proof.verifierKey}'${metaKey}`)
  })
}

export async function signCheckpoint(
  context: Context,
  options: AuditFileOptions & { readonly meta?: boolean },
): Promise<void> {
  await explained(async () => {
    await using file = await openLedger(auditPlace(context, options))
    // The log itself first, so that the meta-log has it as it is now.
    const own = await file.keys.checkpoint()
    const signed = options.meta === true ? await file.meta.checkpoint() : own
    if (signed === undefined) throw new CliError('CLI_FAILED', 'the log is empty: there is nothing to sign')
    // The note alone, so that `> kept-elsewhere.txt` is a checkpoint that `verify --checkpoint` reads.
    reply(context, signed, signed.note.trimEnd())
    context.note(`Keep it where no administrator of this machine reaches. Verifier key: ${signed.verifierKey}`)
  })
}

export async function eraseFields(
  context: Context,
  options: AuditFileOptions & {
    readonly consumer?: string
    readonly id?: string
    readonly reason: string
    readonly by: string
    readonly fields?: readonly string[]
  },
): Promise<void> {
  const { consumer, id, reason, by, fields } = options
  if ((consumer === undefined) === (id === undefined))
    throw new CliError('CLI_USAGE', 'name either --consumer or --id, whose data is to be erased')
  await explained(async () => {
    await using file = await openLedger(auditPlace(context, options))
    let entries = 0
    const erase = async (log: LedgerFile['log'], what: EraseRequest['what']): Promise<void> => {
      entries += (await log.erase({ what, reason, by, ...(fields && { fields }) })).entries
    }
    const logs = [file.log]
    for await (const { log } of predecessorsOf(file)) logs.push(log)
    if (consumer === undefined) {
      const { log, seq } = await entryOf(logs, id ?? '')
      await erase(log, { from: seq, to: seq + 1 })
    } else for (const log of logs) await erase(log, { subject: consumer })
    reply(
      context,
      { entries },
      `Erased the data of ${entries} entries. The entries stay, and the log says what was erased.`,
    )
  })
}

async function entryOf(
  logs: readonly LedgerFile['log'][],
  id: string,
): Promise<{ readonly log: LedgerFile['log']; readonly seq: number }> {
  for (const log of logs) {
    const seq = await log.find(id)
    if (seq !== undefined) return { log, seq }
  }
  throw new CliError('CLI_NOT_FOUND', `there is no entry ${id}`)
}

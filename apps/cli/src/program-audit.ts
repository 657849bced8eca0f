/** `audit …` and `usage`. */
import type { Command } from 'commander'
import type { Context } from './context.ts'

type ContextOf = (command: Command) => Context

const FILE = ['--file <audit.db>', 'the log to read (or the one beside the configuration)'] as const
const SEEN = [
  '--seen <size>',
  'show that it continues the checkpoint of this size, which the reader remembers',
] as const
const SEEN_META = ['--seen-meta <size>', 'the same for the meta-log'] as const
const LOG = ['--log <name>', 'an earlier log of the same place: one that was put back from a backup'] as const
const TENANT = ['--tenant <id>', 'the log of another tenant than the default one'] as const

export function addAuditCommands(
  program: Command,
  contextOf: ContextOf,
  examples: (...lines: readonly string[]) => string,
): void {
  const collect = (value: string, before: readonly string[] = []): readonly string[] => [...before, value]
  const audit = program.command('audit').description('the log of every call: read, check, prove, export, erase')
  const filtered = (command: Command): Command =>
    command
      .option('--consumer <id>', 'of one consumer')
      .option('--server <id>', 'on one server')
      .option('--tool <name>', 'of one tool')
      .option('--status <status>', 'served, tool_error, error, refused, failed, timeout or abandoned')
      .option('--from <time>', 'not before')
      .option('--to <time>', 'before')
      .option(...FILE)
      .option(...TENANT)
      .option(...LOG)

  filtered(audit.command('log'))
    .description('list entries, newest first')
    .option('--limit <n>', 'how many at most', '50')
    .option('--bodies', 'with arguments and responses (seen with --json)')
    .option('--follow', 'then go on with new entries, oldest first; with --json one a line')
    .addHelpText(
      'after',
      examples('audit log --limit 50', 'audit log --follow', 'audit log --consumer agent-1 --status failed --json'),
    )
    .action(async (options, command) => {
      const { showLog } = await import('./commands/audit.ts')
      await showLog(contextOf(command), options)
    })
  audit
    .command('stats')
    .description('totals, and how far each export has come')
    .option('--from <time>', 'not before')
    .option('--to <time>', 'before')
    .option(...FILE)
    .option(...TENANT)
    .option(...LOG)
    .action(async (options, command) => {
      const { showStats } = await import('./commands/audit.ts')
      await showStats(contextOf(command), options)
    })
  audit
    .command('verify')
    .description(
      'check every entry, and every log against the meta-log; exit code 0 intact, 1 tampered, 2 could not check',
    )
    .option('--checkpoint <file>', 'a checkpoint of the log or the meta-log that was kept elsewhere', collect)
    .option(...FILE)
    .option(...TENANT)
    .addHelpText('after', examples('audit verify', 'audit verify --checkpoint kept-elsewhere.txt'))
    .action(async (options, command) => {
      const { verifyLog } = await import('./commands/audit-proof.ts')
      await verifyLog(contextOf(command), { checkpoint: [], ...options })
    })
  filtered(audit.command('export'))
    .description('write entries, oldest first: jsonl is for mcp-gateway-verify, csv for spreadsheets')
    .option('--format <format>', 'jsonl or csv', 'jsonl')
    .option('--output <file>', 'a new file, instead of stdout')
    .option('--bodies', 'with arguments and responses')
    .option(...SEEN)
    .option(...SEEN_META)
    .addHelpText('after', examples('audit export --output log.jsonl', 'audit export --format csv --from 2027-01-01'))
    .action(async (options, command) => {
      const { exportEntries } = await import('./commands/audit.ts')
      await exportEntries(contextOf(command), options)
    })
  audit
    .command('proof')
    .argument('<id>', 'of the entry')
    .description('prove that an entry is in the log, for mcp-gateway-verify; signs a checkpoint')
    .option(...FILE)
    .option(...TENANT)
    .option(...LOG)
    .option('--bodies', 'with arguments and response')
    .option(...SEEN)
    .option(...SEEN_META)
    .action(async (id, options, command) => {
      const { proveEntry } = await import('./commands/audit-proof.ts')
      await proveEntry(contextOf(command), id, options)
    })
  audit
    .command('checkpoint')
    .description('sign the log as it is now; keep what is printed elsewhere')
    .option('--meta', 'sign the meta-log, and so the last checkpoints of the logs of all tenants')
    .option(...FILE)
    .option(...TENANT)
    .addHelpText(
      'after',
      examples('audit checkpoint > kept-elsewhere.txt', 'audit checkpoint --meta > meta-elsewhere.txt'),
    )
    .action(async (options, command) => {
      const { signCheckpoint } = await import('./commands/audit-proof.ts')
      await signCheckpoint(contextOf(command), options)
    })
  audit
    .command('erase')
    .description('delete what was said and who it was; the chain still verifies')
    .option('--consumer <id>', 'all entries of one consumer')
    .option('--id <id>', 'one entry')
    .option('--fields <names>', 'only these, separated by commas: arguments, response, request, subject', (text) =>
      text.split(','),
    )
    .requiredOption('--reason <reason>', 'a basis such as "GDPR Art. 17"; it stays in the log')
    .option('--by <who>', 'a role or a key id; it stays in the log', 'operator')
    .option(...FILE)
    .option(...TENANT)
    .addHelpText('after', examples('audit erase --consumer agent-1 --reason "GDPR Art. 17"'))
    .action(async (options, command) => {
      const { eraseFields } = await import('./commands/audit-proof.ts')
      await eraseFields(contextOf(command), options)
    })
  program
    .command('usage')
    .argument('[consumer]')
    .description('calls, errors, times and bytes by consumer, server and tool, from the log')
    .option('--from <time>', 'not before')
    .option('--to <time>', 'before')
    .option(...FILE)
    .option(...TENANT)
    .option(...LOG)
    .addHelpText('after', examples('usage', 'usage agent-1 --json'))
    .action(async (consumer, options, command) => {
      const { showUsage } = await import('./commands/audit.ts')
      await showUsage(contextOf(command), consumer, options)
    })
}

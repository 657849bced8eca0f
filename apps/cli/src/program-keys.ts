/** The `keys` commands. */
import type { Command } from 'commander'
import type { Context } from './context.ts'

export function addKeyCommands(
  program: Command,
  contextOf: (command: Command) => Context,
  examples: (...lines: string[]) => string,
  words: (value: string) => readonly string[],
): void {
  const keys = program.command('keys').description('the API keys in the configuration')
  keys
    .command('create')
    .argument('<name>', 'what a person calls it')
    .argument('<consumer>', 'who is behind it')
    .argument('[roles]', 'separated by commas', words, [])
    .description('make a key; it is shown once, and only its hash is stored')
    .option('--expires <when>', 'a date, a time with a zone, or a span: 30d, 12h')
    .option('--id <id>', 'name of the key for `keys revoke` (made up when not given)')
    .addHelpText('after', examples('keys create "My Agent" agent-1 reader,writer', 'keys create CI ci --expires 30d'))
    .action(async (name, consumerId, roles, options, command) => {
      const { createKey } = await import('./commands/keys.ts')
      createKey(contextOf(command), { ...options, name, consumerId, roles })
    })
  keys
    .command('list')
    .description('list them, without secrets')
    .addHelpText('after', examples('keys list', 'keys list --json'))
    .action(async (_, command) => {
      const { listKeys } = await import('./commands/keys.ts')
      listKeys(contextOf(command))
    })
  keys
    .command('rotate')
    .argument('<id>')
    .description('make a new secret for a key; the old one stays good for a while')
    .option('--overlap <span>', 'for how long: 24h, 7d, or until a date', '24h')
    .addHelpText('after', examples('keys rotate key-1f3a90bc', 'keys rotate ci --overlap 7d'))
    .action(async (id, options, command) => {
      const { rotateKey } = await import('./commands/keys.ts')
      rotateKey(contextOf(command), id, options)
    })
  keys
    .command('revoke')
    .argument('<id>')
    .description('refuse a key from now on; its entry stays')
    .addHelpText('after', examples('keys revoke key-1f3a90bc'))
    .action(async (id, _, command) => {
      const { revokeKey } = await import('./commands/keys.ts')
      revokeKey(contextOf(command), id)
    })
}

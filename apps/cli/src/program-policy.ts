/** The `policy` commands. */
import type { Command } from 'commander'
import type { Context } from './context.ts'

const POLICIES = ['--policies <file>', 'a policy file, instead of the configuration'] as const

export function addPolicyCommands(
  program: Command,
  contextOf: (command: Command) => Context,
  examples: (...lines: string[]) => string,
  words: (value: string) => readonly string[],
): void {
  const policy = program.command('policy').description('who may call what')
  policy
    .command('test')
    .description('run a table of cases; exit code 1 when one fails')
    .argument('<file>', 'the table: callers and cases')
    .option(...POLICIES)
    .addHelpText('after', examples('policy test cases.yaml', 'policy test cases.yaml --policies policy.yaml'))
    .action(async (file: string, options, command) => {
      const { testPolicies } = await import('./commands/policy.ts')
      testPolicies(contextOf(command), file, options)
    })
  policy
    .command('explain')
    .description('say why a call is allowed or refused, rule by rule')
    .argument('<caller>', 'id of a key or consumer, or any name with --roles')
    .argument('<tool>', '<server>__<tool>')
    .option('--args <json>', 'arguments of the call', '{}')
    .option('--roles <roles>', 'as a caller with these roles', words)
    .option('--address <ip>', 'address that the call comes from')
    .option(...POLICIES)
    .addHelpText('after', examples('policy explain agent-1 crm__get_customer --args \'{"customerId":"c-1"}\''))
    .action(async (caller: string, tool: string, options, command) => {
      const { explainPolicy } = await import('./commands/policy.ts')
      explainPolicy(contextOf(command), caller, tool, options)
    })
}

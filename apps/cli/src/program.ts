/**
 * The commands and their options. A command's code is loaded when it is run, so that `serve` does not wait for `init`'s
 * prompts. Every word that is not understood ends with exit code 2.
 */
import { Command, CommanderError } from 'commander'
import type { Pipes } from './commands/stdio.ts'
import type { Context } from './context.ts'
import { CliError } from './errors.ts'
import { exitCodes, exitCodesHelp, type ExitCode } from './exit-codes.ts'
import { addAuditCommands } from './program-audit.ts'
import { addKeyCommands } from './program-keys.ts'
import { addPolicyCommands } from './program-policy.ts'

export type World = Omit<Context, 'config' | 'json'> & { readonly pipes: Pipes }
type Globals = { readonly config?: string; readonly json?: boolean }
type ContextOf = (command: Command) => Context

const collect = (value: string, before: readonly string[] = []): readonly string[] => [...before, value]
const words = (value: string): readonly string[] =>
  value
    .split(',')
    .map((word) => word.trim())
    .filter(Boolean)

/** Runs one command line. @throws CliError, ConfigError */
export async function run(args: readonly string[], world: World): Promise<ExitCode> {
  const json = asksForJson(args)
  let complaint = ''
  const program = new Command('mcp-gateway')
    .description('One gateway in front of your MCP servers.')
    .option(
      '--config <file>',
      'configuration file (or MCP_GATEWAY_CONFIG; else ./gateway.yaml, ./.mcp-gateway/gateway.yaml)',
    )
    .option('--json', 'print the result as JSON, and nothing else, on stdout')
    .version(world.version)
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      writeOut: (text) => world.print(text.trimEnd()),
      writeErr: (text) => void (complaint += text),
    })
    .exitOverride()
    .addHelpText(
      'after',
      examples('serve --init', 'init', 'servers add files -- npx -y @modelcontextprotocol/server-filesystem .'),
    )
    .addHelpText('afterAll', exitCodesHelp)
  const contextOf: ContextOf = (command) => {
    const { config } = command.optsWithGlobals<Globals>()
    return { ...world, config, json }
  }
  addLifeCommands(program, contextOf, world.pipes)
  addServerCommands(program, contextOf)
  addKeyCommands(program, contextOf, examples, words)
  addToolCommands(program, contextOf)
  addClientCommands(program, contextOf)
  addAuditCommands(program, contextOf, examples)
  addPolicyCommands(program, contextOf, examples, words)
  try {
    await program.parseAsync([...args], { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    if (error.exitCode === 0) return exitCodes.ok
    throw usageError(error, complaint)
  }
  return exitCodes.ok
}

/** Known before the command line is understood, because a misspelled one is answered in JSON, too. */
export function asksForJson(args: readonly string[]): boolean {
  const end = args.indexOf('--')
  return args.slice(0, end === -1 ? args.length : end).includes('--json')
}

function usageError(error: CommanderError, complaint: string): CliError {
  // Without a subcommand commander's message is the whole help.
  if (error.code === 'commander.help') return new CliError('CLI_USAGE', `which command?\n\n${complaint.trimEnd()}`)
  const [first = '', ...rest] = complaint
    .trim()
    .replace(/^error: /, '')
    .split('\n')
  const suggestion = rest.find((line) => line.startsWith('('))?.replaceAll(/[()]/g, '')
  const isFlagOfCommand = error.code === 'commander.unknownOption' && suggestion === undefined
  const hint =
    suggestion ?? (isFlagOfCommand ? 'Put "--" before what belongs to another program. See --help.' : 'See --help.')
  return new CliError('CLI_USAGE', first, { hint })
}

function examples(...lines: readonly string[]): string {
  return `\nExamples:\n${lines.map((line) => `  $ mcp-gateway ${line}`).join('\n')}`
}

function addLifeCommands(program: Command, contextOf: ContextOf, pipes: Pipes): void {
  program
    .command('init')
    .description('write a configuration with a first API key; asks in a terminal')
    .option('-y, --yes', 'ask nothing')
    .option(
      '--from <file-or-client>',
      'take servers over: a file, or claude-code, claude-desktop, cursor, vscode',
      collect,
    )
    .option('--demo', 'add two demo servers')
    .option('--port <port>', 'port to listen on')
    .option('--force', 'replace an existing file')
    .addHelpText(
      'after',
      examples(
        'init',
        'init --yes --from cursor --from .vscode/mcp.json',
        'init --yes --demo --config etc/gateway.yaml',
      ),
    )
    .action(async (options, command) => {
      const { init } = await import('./commands/init.ts')
      await init(contextOf(command), { from: [], ...options })
    })
  program
    .command('serve')
    .description('run the gateway')
    .option('--host <host>', 'address to listen on')
    .option('--port <port>', 'port to listen on (or MCP_GATEWAY_PORT, PORT)')
    .option('--init', 'without a configuration, make a demo in .mcp-gateway first')
    .addHelpText('after', examples('serve', 'serve --init', 'serve --config etc/gateway.yaml --port 8080'))
    .action(async (options, command) => {
      const { serve } = await import('./commands/serve.ts')
      await serve(contextOf(command), options)
    })
  program
    .command('stdio')
    .description('bridge a client that only speaks stdio; stdout carries the protocol and nothing else')
    .option('--server <id>', 'one server, its names unchanged, instead of all')
    .option('--url <url>', 'a gateway elsewhere (or MCP_GATEWAY_URL)')
    .option('--key <key>', 'API key (or MCP_GATEWAY_KEY)')
    .addHelpText('after', examples('stdio', 'stdio --server files', 'stdio --url https://gateway.example.com'))
    .action(async (options, command) => {
      const { bridgeStdio } = await import('./commands/stdio.ts')
      await bridgeStdio(contextOf(command), options, pipes)
    })
  program
    .command('doctor')
    .description('check Node, the configuration, the port and every server, and say how to mend what is wrong')
    .option('--key <key>', 'API key of the running gateway (or MCP_GATEWAY_KEY)')
    .addHelpText('after', examples('doctor', 'doctor --json'))
    .action(async (options, command) => {
      const { doctor } = await import('./commands/doctor.ts')
      await doctor(contextOf(command), options)
    })
  program
    .command('version')
    .description('print the version')
    .addHelpText('after', examples('version', 'version --json'))
    .action(async (_, command) => {
      const { reply } = await import('./context.ts')
      const context = contextOf(command)
      reply(context, { version: context.version, node: process.versions.node }, context.version)
    })
}

function addServerCommands(program: Command, contextOf: ContextOf): void {
  const servers = program.command('servers').description('the servers in the configuration')
  servers
    .command('list')
    .description('list them')
    .addHelpText('after', examples('servers list', 'servers list --json'))
    .action(async (_, command) => {
      const { listServers } = await import('./commands/servers.ts')
      listServers(contextOf(command))
    })
  servers
    .command('add')
    .argument('<id>', 'lower-case letters, digits and "-"')
    .argument('[command...]', 'program and arguments of a local server, after "--"')
    .description('add a local program or a remote address')
    .option('--url <url>', 'address of a remote server')
    .option('--transport <transport>', 'http (Streamable HTTP) or sse')
    .option('--env <NAME[=value]>', 'variable of a local server; NAME alone refers to ${NAME}', collect)
    .option('--header <name: value>', 'header for a remote server', collect)
    .option('--cwd <folder>', 'where a local server starts')
    .option('--name <name>', 'what a person calls it')
    .option('--description <text>', 'one sentence about it')
    .option('--tag <tag>', 'a word to find it by', collect)
    .option('--timeout <ms>', 'how long a call may stay silent')
    .option('--disabled', 'add it without using it')
    .option('--force', 'replace a server with the same id')
    .addHelpText(
      'after',
      examples(
        'servers add files -- npx -y @modelcontextprotocol/server-filesystem ./data',
        "servers add github --url https://api.githubcopilot.com/mcp/ --header 'Authorization: Bearer ${GITHUB_TOKEN}'",
        'servers add db --env DATABASE_URL -- node server.js',
      ),
    )
    .action(async (id, words, options, command) => {
      const { addServer } = await import('./commands/servers.ts')
      addServer(contextOf(command), { env: [], header: [], tag: [], ...options, id, command: words })
    })
  servers
    .command('remove')
    .argument('<id>')
    .description('remove one')
    .addHelpText('after', examples('servers remove files'))
    .action(async (id, _, command) => {
      const { removeServer } = await import('./commands/servers.ts')
      removeServer(contextOf(command), id)
    })
  servers
    .command('test')
    .argument('[id]')
    .description('start one, or all, and list the tools')
    .option('--key <key>', 'API key of the running gateway (or MCP_GATEWAY_KEY)')
    .addHelpText('after', examples('servers test', 'servers test files'))
    .action(async (id, options, command) => {
      const { testServer } = await import('./commands/servers.ts')
      await testServer(contextOf(command), { ...options, ...(id !== undefined && { id }) })
    })
}

function addToolCommands(program: Command, contextOf: ContextOf): void {
  const tools = program.command('tools').description('the tools behind the gateway')
  tools
    .command('list')
    .argument('[server]')
    .description('list the tools of one server, or of all')
    .option('--key <key>', 'API key of the running gateway (or MCP_GATEWAY_KEY)')
    .addHelpText('after', examples('tools list', 'tools list files --json'))
    .action(async (server, options, command) => {
      const { listTools } = await import('./commands/tools.ts')
      await listTools(contextOf(command), { ...options, ...(server !== undefined && { server }) })
    })
  tools
    .command('call')
    .argument('<server>')
    .argument('<tool>')
    .argument('[arguments]', 'a JSON object, or - for stdin')
    .description('call a tool')
    .option('--key <key>', 'API key of the running gateway (or MCP_GATEWAY_KEY)')
    .addHelpText(
      'after',
      examples('tools call everything echo \'{"message":"hello"}\'', 'tools call files list_allowed_directories'),
    )
    .action(async (server, tool, input, options, command) => {
      const { callTool } = await import('./commands/tools.ts')
      await callTool(contextOf(command), { ...options, server, tool, input })
    })
}

function addClientCommands(program: Command, contextOf: ContextOf): void {
  program
    .command('connect')
    .argument('<client>', 'claude-code, claude-desktop, cursor or vscode')
    .description('print what a client needs to know of the gateway, or write it into its file')
    .option('--write', "merge it into the client's file, and keep a backup")
    .option('--scope <scope>', "project or user: which of the client's files")
    .option('--server <id>', 'one server, its names unchanged, instead of all')
    .option('--url <url>', 'where the gateway is (or what the configuration says)')
    .option('--key <key>', 'put this key into the text, instead of a reference to MCP_GATEWAY_KEY')
    .option('--name <name>', 'what the client calls the gateway', 'gateway')
    .addHelpText(
      'after',
      examples('connect claude-code', 'connect cursor --write', 'connect vscode --write --server files'),
    )
    .action(async (client, options, command) => {
      const { connect } = await import('./commands/connect.ts')
      connect(contextOf(command), { ...options, client })
    })
}

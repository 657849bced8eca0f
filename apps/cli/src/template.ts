/** The files `init` and `serve --init` make. */
import { parseDocument } from 'yaml'
import { append, renderYaml, type Entry } from './config-document.ts'

export const SCHEMA_FILE = 'gateway.schema.json'

export type TemplateOptions = {
  readonly port: number
  readonly key: Entry
  readonly servers: readonly Entry[]
}

/** gateway.yaml with comments; the entries are added through the same code as `servers add` and `keys create`. */
export function renderConfig({ port, key, servers }: TemplateOptions): string {
  const document = parseDocument(head(port))
  const draft = { file: '', text: '', document }
  append(draft, 'keys', key)
  for (const server of servers) append(draft, 'servers', server)
  return renderYaml(document, '')
}

function head(port: number): string {
  return `# yaml-language-server: $schema=./${SCHEMA_FILE}
#
# MCP Gateway. "mcp-gateway doctor" checks this file; an unknown key is an error, not a surprise.
# Any value may be \${NAME} or \${NAME:-default} from the environment; "$$" is a "$". Keep secrets there, not here.

# Listen wider than this machine (host: 0.0.0.0) only with authentication.
host: 127.0.0.1
port: ${port}

auth:
  type: api-key
  # Made by "mcp-gateway keys create <name> <consumer> <roles>". Only hashes of keys are stored.
  keys: []

# A server is a local program (command, args, env, cwd) or a remote address (url, headers). A local one gets the
# variables named under env and nothing else of the gateway's environment.
#
#   - id: github
#     url: https://api.githubcopilot.com/mcp/
#     headers:
#       Authorization: Bearer \${GITHUB_TOKEN}
servers: []
`
}

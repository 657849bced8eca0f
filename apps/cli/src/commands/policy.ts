/** `policy test|explain`: what the policies do, without a gateway that runs. */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { readPolicySections, type Config } from '@mcp-gateway/gateway'
import {
  createPolicyEngine,
  formatCaseResults,
  formatExplanation,
  parsePolicyFile,
  parsePolicyTable,
  PolicyError,
  runPolicyTable,
  type PolicyFile,
  type PolicyTable,
  type RuleEngine,
  type Subject,
} from '@mcp-gateway/policy'
import { loadConfig } from '../config-file.ts'
import { reply, type Context } from '../context.ts'
import { CliError } from '../errors.ts'

export type PolicyOptions = { readonly policies?: string }
export type ExplainOptions = PolicyOptions & {
  readonly args: string
  readonly roles?: readonly string[]
  readonly address?: string
}

/** Exits with 1 when a case fails. */
export function testPolicies(context: Context, file: string, options: PolicyOptions): void {
  const table = parsed(file, () => parsePolicyTable(readText(context, file), file))
  const results = runPolicyTable(createPolicyEngine(policiesFor(context, options, table)), table)
  const failed = results.filter(({ passed }) => !passed).length
  const cases = results.map(({ case: one, passed, got, decision }) => ({
    ...one,
    passed,
    got,
    decidedBy: decision.rule,
  }))
  reply(context, { passed: results.length - failed, failed, cases }, formatCaseResults(results))
  if (failed > 0) throw new CliError('CLI_FAILED', `${failed} of ${results.length} cases failed`)
}

export function explainPolicy(context: Context, caller: string, call: string, options: ExplainOptions): void {
  const subject = options.roles === undefined ? subjectOf(loadConfig(context).config, caller) : { id: caller, roles: options.roles } // prettier-ignore
  const [, server = '', tool = ''] = /^([^/]+?)(?:__|\/)(.+)$/.exec(call) ?? []
  if (server === '') throw new CliError('CLI_USAGE', `"${call}" is no tool: write <server>__<tool> or <server>/<tool>`)
  const engine: RuleEngine = createPolicyEngine(policiesFor(context, options))
  const explanation = engine.explain(subject, { server, tool, args: argumentsOf(options.args), address: options.address }) // prettier-ignore
  reply(context, { caller: subject.id, server, tool, ...explanation }, formatExplanation(explanation))
}

/** Those of the file that was named, of the table itself, or of the configuration. */
function policiesFor(context: Context, { policies }: PolicyOptions, table?: PolicyTable): PolicyFile {
  if (policies !== undefined) return parsed(policies, () => parsePolicyFile(readText(context, policies), policies))
  if (table?.policies !== undefined) return { mode: 'enforce', policies: table.policies, warnings: [] }
  const { config, file } = loadConfig(context)
  if (config.policies !== undefined) return readPolicySections(config)
  throw new CliError('CLI_NOT_FOUND', `${file} has no policies: every caller may call every tool`)
}

/** By the id of its key, or of the consumer behind it. */
function subjectOf({ auth }: Config, caller: string): Subject {
  const key = auth.keys.find(({ id }) => id === caller) ?? auth.keys.find(({ consumerId }) => consumerId === caller)
  if (key === undefined) {
    const hint = 'Name the roles of a caller that has no key with --roles.'
    throw new CliError('CLI_NOT_FOUND', `there is no key and no consumer "${caller}"`, { hint })
  }
  const { consumerId, roles, tenantId, attributes } = key
  const tier = typeof attributes['tier'] === 'string' ? { tier: attributes['tier'] } : {}
  return { id: consumerId, roles, tenantId, attributes, ...tier }
}

function argumentsOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new CliError('CLI_USAGE', `--args must be JSON, such as '{"path":"/tmp"}'`, { cause })
  }
}

function parsed<T>(file: string, parse: () => T): T {
  try {
    return parse()
  } catch (error) {
    if (!(error instanceof PolicyError)) throw error
    throw new CliError('CONFIG_INVALID', `${file} is not right:\n${error.message}`, { cause: error })
  }
}

function readText({ cwd }: Context, file: string): string {
  try {
    return readFileSync(resolve(cwd, file), 'utf8')
  } catch (cause) {
    throw new CliError('CLI_NOT_FOUND', `${file} cannot be read`, { cause })
  }
}

/** What the gateway's entries mean to a SIEM. */
import type { FollowedEntry, SecurityEvent, Severity } from '@mcp-gateway/audit-chain'

/** Of what is no call. */
const SEVERITIES: Readonly<Record<string, Severity>> = {
  'login.refused': 'medium',
  'login.refused.more': 'high',
  'storage.refused': 'medium',
  'storage.refused.more': 'high',
  'audit.gap': 'high',
  'config.reloaded': 'low',
  erasure: 'low',
}
const OUTCOMES: Readonly<Record<string, SecurityEvent['outcome']>> = { served: 'success', abandoned: 'unknown' }

export function describeEvent({ entry, fields }: FollowedEntry): SecurityEvent {
  const { type, facts = {} } = entry
  const text = (name: string): string | undefined => {
    const value = facts[name]
    return typeof value === 'string' ? value : undefined
  }
  const status = text('status')
  const subject = fields.find(({ name }) => name === 'subject')
  const service = text('server')
  const code = text('code')
  const latencyMs = facts['latencyMs']
  const [method, name] = [text('method'), text('name')]
  return {
    operation: method === undefined ? type : name === undefined ? method : `${method} ${name}`,
    outcome: status === undefined ? outcomeOf(type) : (OUTCOMES[status] ?? 'failure'),
    severity: severityOf(type, status),
    ...(service !== undefined && { service }),
    ...(subject !== undefined && { actor: Buffer.from(subject.value).toString('utf8') }),
    ...(code !== undefined && { code }),
    ...(typeof latencyMs === 'number' && { durationMs: latencyMs }),
  }
}

function outcomeOf(type: string): SecurityEvent['outcome'] {
  return /^(?:login|storage)\.refused/.test(type) || type === 'audit.gap' ? 'failure' : 'success'
}

function severityOf(type: string, status: string | undefined): Severity {
  if (status === undefined) return SEVERITIES[type] ?? 'info'
  return status === 'served' || status === 'abandoned' ? 'info' : status === 'refused' ? 'medium' : 'low'
}

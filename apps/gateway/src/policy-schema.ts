/** The keys of gateway.yaml that say who may do what, as far as their form goes. */
import { z } from 'zod'
import type { RateLimitConfig } from './policy-config.ts'
import { digits, flag, text, texts } from './config-values.ts'

/** Read by @mcp-gateway/policy, which says what is wrong in them (policy-config.ts). */
const policySection = z.array(z.record(z.string(), z.unknown()))

const rateLimitSchema = z.strictObject({
  enabled: flag(true, 'false limits nothing; `quotas` hold all the same.'),
  defaultPerMinute: z
    .preprocess(digits, z.int().min(1).max(600_000))
    .optional()
    .describe('Calls of one caller in a minute. Without it, and without `limits`: 10 for callers without a paid tier.'),
  burstMultiplier: z
    .preprocess(digits, z.number().min(0.01).max(1000))
    .default(1)
    .describe('Calls at once, as a multiple of `defaultPerMinute`.'),
  limits: policySection
    .optional()
    .describe('Limits written out: `{ id, per, server, tool, roles, rate, burst, tiers, concurrent, applies }`.'),
  onFailure: z
    .enum(['closed', 'open', 'local'])
    .default('closed')
    .describe('While Redis does not answer. closed: refuse. open: admit. local: each replica counts for itself.'),
  redis: text(
    'redis:// or rediss:// URL where all replicas count together. Without it each counts for itself.',
  ).optional(),
})

type Section = Record<string, unknown>

export const policyShape: {
  readonly policies: z.ZodType<Section[] | undefined>
  readonly policyMode: z.ZodType<'enforce' | 'dry-run'>
  readonly rateLimit: z.ZodType<RateLimitConfig | undefined>
  readonly ipFilter: z.ZodType<Section | undefined>
  readonly trustedProxies: z.ZodType<string[]>
  readonly redaction: z.ZodType<Section[] | undefined>
  readonly toolGuard: z.ZodType<Section | undefined>
} = {
  policies: policySection
    .optional()
    .describe(
      'Who may call what: `[{ id, name, roles, rules: [{ server, tool, action, conditions }] }]`. Without this key, every caller may call everything.',
    ),
  policyMode: z
    .enum(['enforce', 'dry-run'])
    .default('enforce')
    .describe('dry-run refuses nothing, and the log says what would have been refused.'),
  rateLimit: rateLimitSchema.optional().describe('How often. Without this key nothing is limited.'),
  ipFilter: z
    .looseObject({
      enabled: flag(true, 'false lets every address in.'),
      mode: z.enum(['allow', 'deny']).optional().describe('Which list `ips` is.'),
      ips: z.array(z.unknown()).optional().describe('Networks, for `mode`.'),
    })
    .refine(({ mode, ips }) => (mode === undefined) === (ips === undefined), {
      error: '`mode` and `ips` belong together',
    })
    .optional()
    .describe('`{ allow: [networks], deny: [networks] }`, or `{ mode, ips }`. An empty `allow` lets nobody in.'),
  trustedProxies: texts('Networks of our own proxies, whose X-Forwarded-For is believed.'),
  redaction: policySection
    .optional()
    .describe(
      'What is cut out of arguments, results and logs: `[{ id, on, detectors, fields, patterns, server, tool }]`. Without this key: secrets and personal data in logs.',
    ),
  toolGuard: z
    .record(z.string(), z.unknown())
    .optional()
    .describe('`{ definitions, results }`: allow, flag or block tools that try to instruct the model.'),
}

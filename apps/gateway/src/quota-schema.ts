/** The `quotas` section of gateway.yaml. */
import { z } from 'zod'
import { digits } from './config-values.ts'
import type { QuotasConfig } from './quotas.ts'

const quota = (max: number, description: string) =>
  z
    .preprocess(
      digits,
      z.union([z.int().min(1).max(max), z.literal('unlimited')], {
        error: `must be a whole number from 1 to ${max}, or "unlimited"`,
      }),
    )
    .optional()
    .describe(description)

const tenantQuotas = {
  maxCallsPerDay: quota(
    1_000_000_000_000,
    'Calls of a tenant from midnight to midnight UTC, counted as `rateLimit` counts them.',
  ),
  maxServers: quota(100_000, 'Servers of a tenant that are enabled.'),
  maxKeysPerConsumer: quota(100_000, 'API keys and wallet tokens of one consumer that are good.'),
  maxStorageMb: quota(1_000_000_000, 'Megabytes (1048576 bytes) that the entries of a tenant take in its audit log.'),
}

export const quotaSchema: z.ZodType<QuotasConfig> = z.strictObject({
  ...tenantQuotas,
  tenants: z
    .record(z.string().min(1).max(256), z.strictObject(tenantQuotas))
    .default({})
    .describe('What holds for single tenants instead; "unlimited" lifts what holds for all.'),
})

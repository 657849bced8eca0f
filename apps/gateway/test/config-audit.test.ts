// What is wrong with `audit` is said at start, with its line: a log of one region must not reach another by a slip.
import { generateKeyPairSync } from 'node:crypto'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { createCosigner, createSigner } from '@mcp-gateway/audit-chain'
import { ConfigError, parseConfig } from '@mcp-gateway/gateway'

function findings(text: string): string[] {
  try {
    parseConfig(text, { env: {} })
    return []
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return error.findings.map(({ line, path, message, suggestion }) => `${line} ${path}: ${message}${suggestion === undefined ? '' : ` (${suggestion})`}`) // prettier-ignore
  }
}

const audit = (region: string, ...exports: object[]): string =>
  `audit:\n  region: ${region}\n  export:\n${exports.map((one) => `    - ${JSON.stringify({ name: 'x', ...one })}\n`).join('')}`
const hook = { type: 'webhook', url: 'https://siem.example.com/in', secret: '0123456789abcdef' }
const bucket = { type: 's3', bucket: 'b', awsRegion: 'eu-central-1' }

describe('regions', () => {
  test('a log of one region goes to exports that are marked the same', () => {
    expect(findings(audit('eu', { ...hook, region: 'eu' }))).toEqual([])
    expect(findings(audit('eu', { ...bucket, region: 'eu' }))).toEqual([])
    // Another service's regions have names of their own.
    expect(findings(audit('eu', { ...bucket, region: 'eu', awsRegion: 'us-east-1', endpoint: 'https://s3.example.eu' }))).toEqual([]) // prettier-ignore
    expect(findings(audit('plant-7', { ...bucket, region: 'plant-7' }))).toEqual([])
  })

  test.for([
    [{ ...hook, region: 'us' }, 'audit.export[0].region: is "us", and the log must stay in "eu"'],
    [hook, 'audit.export[0]: has no region, and the log must stay in "eu": say where it keeps what it gets'],
    [{ type: 'csv', path: 'a.csv' }, 'audit.export[0]: has no region, and the log must stay in "eu": say where it keeps what it gets'],
    [{ ...bucket, region: 'eu', awsRegion: 'us-east-1' }, 'audit.export[0].awsRegion: "us-east-1" is not in "eu"'],
    [{ ...hook, region: 'EU' }, 'audit.export[0].region: must be a region such as "eu": lower-case letters, digits and "-"'],
  ] as const)('refused: %j', ([one, expected]) => {
    expect(findings(audit('eu', one))).toContain(`4 ${expected}`)
  }) // prettier-ignore

  test('a marked export of a log that is not marked says that something was forgotten', () => {
    expect(findings(`audit:\n  export:\n    - ${JSON.stringify({ name: 'x', ...hook, region: 'eu' })}`)).toEqual([
      '3 audit.export[0].region: means nothing without audit.region: say where the log may be',
    ])
  })
})

describe('the short names of seed row 4.28', () => {
  const short = (more: object) =>
    JSON.stringify({ audit: { webhookUrl: hook.url, webhookSecret: hook.secret, ...more } })

  test('webhookUrl is an export of type webhook', () => {
    const { audit: found } = parseConfig(short({ hashChain: true, export: [{ name: 'a', ...hook }] }), { env: {} })
    expect(found.export).toMatchObject([{ name: 'a' }, { name: 'webhook-url', type: 'webhook', url: hook.url, fields: 'metadata' }]) // prettier-ignore
  })

  test.for([
    [{ webhookSecret: undefined }, '1 audit: webhookUrl and webhookSecret belong together: deliveries are signed'],
    [{ region: 'eu' }, '1 audit: with audit.region, write the webhook among `export`, with the region that it is in'],
    [{ export: [{ name: 'webhook-url', ...hook }] }, '1 audit: with webhookUrl, no other export can have the name "webhook-url"'],
    [{ path: 'log/audit-meta.db' }, '1 audit.path: is the name of another file of the gateway'],
    [{ path: 'gateway.db' }, '1 audit.path: is the name of another file of the gateway'],
    [{ hashChain: false }, '1 audit.hashChain: must be true, or left out: there is no log without the chain'],
    [{ webhookUrl: 'http://siem.example.com' }, '1 audit.webhookUrl: must be an https:// URL (http:// on loopback) without user name, password or fragment'],
  ] as const)('refused: %j', ([more, expected]) => {
    expect(findings(short(more))).toEqual([expected])
  }) // prettier-ignore
})

test('each kind of export has its defaults, and files lie beside the configuration', () => {
  const exports = [
    { name: 'a', type: 'jsonl', path: 'out/a.jsonl' },
    { name: 'b', type: 'csv', path: '/var/b.csv' },
    { name: 'c', ...hook, secret: '${HOOK_SECRET}' },
    { name: 'd', ...bucket, objectLock: { mode: 'COMPLIANCE', retainDays: 365 } },
    { name: 'e', type: 'syslog', host: 'siem', ca: 'ca.pem', intervalMs: '${EVERY}' },
  ]
  const env = { HOOK_SECRET: 'a-secret-from-outside', EVERY: '250' }
  const { audit: found } = parseConfig(JSON.stringify({ audit: { retentionDays: 30, export: exports } }), { env, file: '/etc/gw/gateway.yaml' }) // prettier-ignore
  expect(found).toMatchObject({ retentionDays: 30, checkpointIntervalMs: 60_000 })
  expect(found.export).toMatchObject([
    {
      path: join('/etc/gw', 'out/a.jsonl'),
      format: 'jsonl',
      fields: 'metadata',
      intervalMs: 1000,
      maxFileBytes: 67_108_864,
    },
    { path: '/var/b.csv' },
    { secret: 'a-secret-from-outside', headers: {}, maxAttempts: 3 },
    { compression: 'none', intervalMs: 60_000, objectLock: { mode: 'COMPLIANCE', retainDays: 365 } },
    { host: 'siem', port: 6514, transport: 'tls', format: 'cef', ca: '/etc/gw/ca.pem', intervalMs: 250 },
  ])
})

test.for([
  ['{"name":"x","type":"ftp"}', '3 audit.export[0].type'],
  ['{"name":"x","type":"webhook","url":"http://siem.example.com","secret":"0123456789abcdef"}', 'must be an https:// URL'],
  ['{"name":"x","type":"webhook","url":"https://siem.example.com","secret":"short"}', 'must have 16 characters or more'],
  ['{"name":"x","type":"webhook","url":"https://a.example","secrett":"0123456789abcdef"}', 'unknown key (secret)'],
  ['{"name":"x","type":"syslog","host":"h","transport":"udp"}', '3 audit.export[0].transport'],
  ['{"name":"x","type":"s3","bucket":"b","awsRegion":"eu-west-1","accessKeyId":"a"}', 'has "accessKeyId" without "secretAccessKey"'],
  ['{"name":"x","type":"csv","path":"a"}\n    - {"name":"x","type":"csv","path":"a"}', 'is the name of another export'],
  ['{"name":"X","type":"csv","path":"a"}', 'must be lower-case letters'],
])('refused with a reason: %s', ([one, expected]) => {
  expect(findings(`audit:\n  export:\n    - ${one}`).join('\n')).toContain(expected)
}) // prettier-ignore

test('witnesses have an address and a key of their own', () => {
  const cosigner = createCosigner({ name: 'w.example', privateKey: generateKeyPairSync('ed25519').privateKey })
  const log = createSigner({ name: 'w.example', privateKey: generateKeyPairSync('ed25519').privateKey })
  const one = { url: 'https://w.example/x', key: cosigner.verifierKey.text }
  const withThem = (...witnesses: object[]): string[] => findings(`audit: ${JSON.stringify({ witnesses })}`)
  expect(withThem(one)).toEqual([])
  expect(withThem(one, { ...one, url: 'https://v.example' }).join()).toContain('is the key of another witness')
  expect(withThem({ ...one, key: log.verifierKey.text }).join()).toContain('must be the verifier key of a witness')
  expect(withThem({ ...one, url: 'http://w.example' }).join()).toContain('must be an https:// URL')
})

test.for([
  ['audit: { storage: postgres }', '1 audit.storage: is "postgres", which needs audit.dsn: say which database'],
  ['audit: { dsn: "postgres://u:canary@h/d" }', '1 audit.dsn: means nothing without `storage: postgres`'],
  ...['mysql://u:canary@h/d', 'canary', 'postgres://u:canary@h', 'postgres://u:canary%zz@h/d'].map(
    (dsn) =>
      [
        `audit: { storage: postgres, dsn: "${dsn}" }`,
        '1 audit.dsn: must be a URL such as postgres://user:password@host:5432/database',
      ] as const,
  ),
] as const)('a database that is none: %s', ([text, expected]) => {
  expect(findings(text)).toEqual([expected])
})

test('a database, with its password from the environment', () => {
  const text = 'audit: { storage: postgres, dsn: "${AUDIT_DSN}" }'
  const dsn = 'postgres://u:p@h:5432/d?sslmode=verify-full'
  expect(parseConfig(text, { env: { AUDIT_DSN: dsn } }).audit).toMatchObject({ storage: 'postgres', dsn })
})

// The authority is `openssl ts`, behind HTTP.
import { execFileSync, spawnSync } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { createPublisher, createSigner, openLog } from '@mcp-gateway/audit-chain'
import { createTimestampAnchor, readTimestamp } from '@mcp-gateway/audit-chain/anchors/timestamp'
import { createMemoryStore } from '@mcp-gateway/audit-chain/stores/memory'
import { describe, expect, test } from 'vitest'
import { scratch } from './support/sqlite.ts'

const ORIGIN = 'example.com/log'
const hasOpenssl = spawnSync('openssl', ['version']).status === 0

/** `reply` makes the answer of a real authority into what this one says. */
async function startAuthority(directory: string, reply: (answer: Buffer) => Buffer = (answer) => answer) {
  const file = (name: string): string => join(directory, name)
  const openssl = (...args: string[]): void => void execFileSync('openssl', args, { cwd: directory, stdio: 'pipe' })
  writeFileSync(
    file('tsa.cnf'),
    `[tsa]\ndefault_tsa = one\n[one]\nserial = ${file('serial')}\nsigner_digest = sha256\ndefault_policy = 1.2.3.4\n` +
      `digests = sha256\naccuracy = secs:1\nordering = yes\ness_cert_id_chain = no\n`,
  )
  const subject = ['-subj', '/CN=tsa', '-addext', 'extendedKeyUsage=critical,timeStamping']
  openssl(
    'req',
    '-x509',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-keyout',
    'key.pem',
    '-out',
    'cert.pem',
    '-days',
    '2',
    ...subject,
  )
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      writeFileSync(file('query.tsq'), Buffer.concat(chunks))
      openssl(
        'ts',
        '-reply',
        '-config',
        'tsa.cnf',
        '-queryfile',
        'query.tsq',
        '-signer',
        'cert.pem',
        '-inkey',
        'key.pem',
        '-out',
        'reply.tsr',
      )
      response.end(reply(readFileSync(file('reply.tsr'))))
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

const publish = async (url: string) => {
  const store = createMemoryStore()
  await using log = openLog({ store, origin: ORIGIN })
  await log.append({ type: 'test' })
  const signer = createSigner({ name: ORIGIN, privateKey: generateKeyPairSync('ed25519').privateKey })
  return await createPublisher({ store, signer, anchors: [createTimestampAnchor({ url })] }).publish()
}

describe.skipIf(!hasOpenssl)('a timestamp authority (skipped where openssl is not)', () => {
  test('stamps the checkpoint, and openssl verifies the evidence', async () => {
    using home = scratch()
    await using authority = await startAuthority(home.directory)
    const published = await publish(authority.url)
    const [outcome] = published?.outcomes ?? []
    expect(outcome?.error).toBeUndefined()
    const evidence = outcome?.evidence ?? expect.fail('evidence')
    expect(Math.abs(readTimestamp(evidence).at - Date.now())).toBeLessThan(60_000)
    writeFileSync(join(home.directory, 'checkpoint'), published?.note ?? '')
    writeFileSync(join(home.directory, 'evidence.tsr'), evidence)
    const args = ['ts', '-verify', '-data', 'checkpoint', '-in', 'evidence.tsr', '-CAfile', 'cert.pem']
    expect(spawnSync('openssl', args, { cwd: home.directory, encoding: 'utf8' }).stdout).toContain('Verification: OK')
  })

  test('an old answer, and one about something else, are refused', async () => {
    using home = scratch()
    let old: Buffer | undefined
    await using authority = await startAuthority(home.directory, (answer) => (old ??= answer))
    expect((await publish(authority.url))?.outcomes[0]?.error).toBeUndefined()
    expect((await publish(authority.url))?.outcomes[0]?.error).toMatchObject({ code: 'AUDIT_ANCHOR_FAILED' })
    const bytes = old ?? expect.fail('answer')
    for (let at = 0; at < 60; at += 1) {
      const cut = bytes.subarray(0, at)
      expect(() => readTimestamp(cut)).toThrow(expect.objectContaining({ code: 'AUDIT_PROOF_MALFORMED' }))
    }
  })

  test('an authority that answers nonsense fails, and the checkpoint is published all the same', async () => {
    using home = scratch()
    await using authority = await startAuthority(home.directory, () => Buffer.from('30030201', 'hex'))
    const published = await publish(authority.url)
    expect(published?.checkpoint.size).toBe(1)
    expect(published?.outcomes[0]?.error).toMatchObject({ code: 'AUDIT_PROOF_MALFORMED' })
  })
})

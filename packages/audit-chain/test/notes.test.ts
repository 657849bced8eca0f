import { createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto'
import { createCosigner, createSigner, formatTlogProof, openLog, signCheckpoint } from '@mcp-gateway/audit-chain'
import { createMemoryStore } from '@mcp-gateway/audit-chain/stores/memory'
import {
  compareCheckpoints,
  leafHash,
  parseCheckpoint,
  parseNote,
  parsePolicy,
  parseTlogProof,
  parseVerifierKey,
  proveInclusion,
  rootAt,
  trustLogs,
  verifyCheckpoint,
  verifyEntryProof,
  verifySignatures,
  verifyTlogProof,
} from '@mcp-gateway/audit-chain/verify'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { tilesOf } from './support/tiles.ts'

const key = (seed: number) => {
  const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), Buffer.alloc(32, seed)])
  return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
}
const codeOf = (run: () => unknown): unknown => {
  try {
    run()
  } catch (error) {
    return (error as { code?: string }).code
  }
  return undefined
}
const codes = (findings: readonly { code: string }[]): string[] => findings.map(({ code }) => code)

describe('signed notes', () => {
  // https://c2sp.org/signed-note@v1.0.0, "Verifier keys", Example
  const SPEC_KEY = 'example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k'
  const SPEC_NOTE =
    'This is an example message.\n\n' +
    '— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n'

  test('the example of C2SP signed-note verifies', () => {
    const { verified, findings } = verifySignatures(parseNote(SPEC_NOTE), [parseVerifierKey(SPEC_KEY)])
    expect(findings).toEqual([])
    expect(verified.map(({ key: { text } }) => text)).toEqual([SPEC_KEY])
  })

  test('the example of golang.org/x/mod/sumdb/note is reproduced', async () => {
    // https://pkg.go.dev/golang.org/x/mod/sumdb/note: PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz
    const seed = Buffer.from('AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz', 'base64').subarray(1)
    const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed])
    const signer = createSigner({
      name: 'PeterNeumann',
      privateKey: createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }),
    })
    expect(signer.verifierKey.text).toBe('PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW')
    const text = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
    expect(await signer.sign(text)).toBe(
      '— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n',
    )
  })

  test('any one changed byte of a note ≡ a finding or no signature', () => {
    const bytes = Buffer.from(SPEC_NOTE)
    const keys = [parseVerifierKey(SPEC_KEY)]
    for (let at = 0; at < bytes.length; at += 1) {
      for (const bit of [0x01, 0x20, 0x80]) {
        const changed = Buffer.from(bytes)
        changed[at] = (changed[at] as number) ^ bit
        if (codeOf(() => parseNote(changed.toString())) === 'AUDIT_NOTE_MALFORMED') continue
        expect(verifySignatures(parseNote(changed.toString()), keys).verified).toEqual([])
      }
    }
  })

  test('other keys are ignored, also of the same name', () => {
    const other = createSigner({ name: 'example.com/foo', privateKey: key(1) }).verifierKey
    expect(verifySignatures(parseNote(SPEC_NOTE), [other])).toEqual({ verified: [], findings: [] })
  })

  test.each([
    ['no signature', 'text\n\n'],
    ['no empty line', 'text\n— a AAAAAAA=\n'],
    ['no last newline', SPEC_NOTE.trimEnd()],
    ['a control character', `te\u0007xt\n\n${SPEC_NOTE.split('\n\n')[1]}`],
    ['a carriage return', SPEC_NOTE.replaceAll('\n', '\r\n')],
    ['base64 with other bits than the bytes', SPEC_NOTE.replace('aQM=', 'aQN=')],
    ['too many signatures', `text\n\n${'— a AAAAAAA=\n'.repeat(65)}`],
    ['too many bytes', `${'x'.repeat(70_000)}\n\n— a AAAAAAA=\n`],
  ])('%s is refused', (_, note) => {
    expect(codeOf(() => parseNote(note))).toBe('AUDIT_NOTE_MALFORMED')
  })

  test.each([
    'example.com/foo+530d903b+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k',
    'example.com/fox+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k',
    'example.com/foo+530d903a+AukyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k',
    'example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2',
    'example.com/foo',
    '',
  ])('the verifier key %s is refused', (text) => {
    expect(codeOf(() => parseVerifierKey(text))).toBe('AUDIT_KEY_MALFORMED')
  })

  test('a key of another kind cannot sign', () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    expect(codeOf(() => createSigner({ name: 'a', privateKey }))).toBe('AUDIT_KEY_MALFORMED')
    expect(codeOf(() => createSigner({ name: 'a b', privateKey: key(1) }))).toBe('AUDIT_KEY_MALFORMED')
  })
})

const ORIGIN = 'example.com/log'
const signer = createSigner({ name: ORIGIN, privateKey: key(1) })
const witness = (n: number) =>
  createCosigner({ name: `witness.example/w${n}`, privateKey: key(10 + n), clock: () => 1_679_315_147_000 })
const checkpoint = { origin: ORIGIN, size: 7, rootHash: new Uint8Array(32).fill(9) }

describe('checkpoints', () => {
  test('read(sign(checkpoint)) ≡ checkpoint', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(), fc.uint8Array({ minLength: 32, maxLength: 32 }), async (size, rootHash) => {
        const note = await signCheckpoint({ origin: ORIGIN, size, rootHash }, signer)
        const reading = verifyCheckpoint(note, trustLogs(signer.verifierKey.text), ORIGIN)
        expect(reading.findings).toEqual([])
        expect(reading.checkpoint?.size).toBe(size)
        expect(Buffer.from(reading.checkpoint?.rootHash ?? []).equals(rootHash)).toBe(true)
      }),
      { numRuns: 200 },
    )
  })

  test('it has the exact form of C2SP tlog-checkpoint', async () => {
    const note = await signCheckpoint(checkpoint, signer)
    expect(note.split('\n').slice(0, 4)).toEqual([ORIGIN, '7', Buffer.alloc(32, 9).toString('base64'), ''])
    expect(note).toMatch(/\n— example\.com\/log [A-Za-z0-9+/]+=*\n$/)
  })

  test.each([
    ['a size with a zero before it', `${ORIGIN}\n07\n${'A'.repeat(43)}=\n`],
    ['a negative size', `${ORIGIN}\n-7\n${'A'.repeat(43)}=\n`],
    ['a short root', `${ORIGIN}\n7\nAAAA\n`],
    ['no root', `${ORIGIN}\n7\n`],
    ['an empty origin', `\n7\n${'A'.repeat(43)}=\n`],
  ])('%s is a finding, also when it is signed', async (_, text) => {
    const note = `${text}\n${await signer.sign(text)}`
    const { checkpoint: read, findings } = verifyCheckpoint(note, trustLogs(signer.verifierKey.text))
    expect([read, codes(findings)]).toEqual([undefined, ['NOTE_MALFORMED']])
  })

  test('a key is trusted for the log of its own name only', async () => {
    const other = createSigner({ name: 'example.com/other', privateKey: key(2) })
    const text = (await signCheckpoint(checkpoint, signer)).split('\n\n')[0] ?? ''
    const forged = `${text}\n\n${await other.sign(`${text}\n`)}`
    const policy = trustLogs(signer.verifierKey.text, other.verifierKey.text)
    expect(codes(verifyCheckpoint(forged, policy).findings)).toEqual(['SIGNATURE_MISSING'])
    expect(codes(verifyCheckpoint(await signCheckpoint(checkpoint, signer), policy, 'example.com/x').findings)).toEqual(
      ['ORIGIN_UNEXPECTED'],
    )
  })

  test('two signed histories of one size are a split view', async () => {
    const other = { ...checkpoint, rootHash: new Uint8Array(32).fill(8) }
    expect(codes(compareCheckpoints(checkpoint, other))).toEqual(['SPLIT_VIEW'])
    expect(compareCheckpoints(checkpoint, { ...checkpoint })).toEqual([])
    expect(codes(compareCheckpoints(checkpoint, { ...other, size: 9 }))).toEqual(['CONSISTENCY_UNPROVEN'])
  })

  test('what was signed is not what was meant: the signer has to be named as the log', async () => {
    await expect(signCheckpoint({ ...checkpoint, origin: 'x' }, signer)).rejects.toThrow(TypeError)
  })
})

describe('cosignatures and policies', () => {
  const names = [1, 2, 3, 4]
  const policyText = (quorum: string): string =>
    [
      `# whom we believe`,
      `log ${signer.verifierKey.text} https://log.example/`,
      ...names.map((n) => `witness W${n} ${witness(n).verifierKey.text}`),
      'group inner 2 W1 W2 W3',
      'group outer all inner W4',
      `quorum ${quorum}`,
      '',
    ].join('\n')
  const cosigned = async (...by: number[]): Promise<string> => {
    const note = await signCheckpoint(checkpoint, signer)
    const text = parseNote(note).text
    return note + (await Promise.all(by.map((n) => witness(n).sign(text)))).join('')
  }

  test.each([
    [[1, 2, 4], 'outer', []],
    [[1, 3, 4], 'outer', []],
    [[1, 4], 'outer', ['QUORUM_MISSING']],
    [[1, 2, 3], 'outer', ['QUORUM_MISSING']],
    [[], 'none', []],
    [[], 'W1', ['QUORUM_MISSING']],
    [[1], 'W1', []],
  ])('witnesses %j against the quorum %s: %j', async (by, quorum, expected) => {
    const { findings, signatures } = verifyCheckpoint(await cosigned(...by), parsePolicy(policyText(quorum)))
    expect(codes(findings)).toEqual(expected)
    expect(signatures.filter(({ at }) => at === 1_679_315_147_000)).toHaveLength(by.length)
  })

  test('a cosignature has the message, type and time of C2SP tlog-cosignature', async () => {
    const note = parseNote(await cosigned(1))
    const bytes = Buffer.from(note.signatures[1]?.bytes ?? [])
    expect(bytes).toHaveLength(8 + 64)
    expect(bytes.readBigUInt64BE()).toBe(1_679_315_147n)
    const { verify } = await import('node:crypto')
    const message = Buffer.from(`cosignature/v1\ntime 1679315147\n${note.text}`)
    expect(verify(null, message, createPublicKey(key(11)), bytes.subarray(8))).toBe(true)
    // A witness's key signs nothing as a log, and a log's nothing as a witness.
    expect(Buffer.from(witness(1).verifierKey.text.split('+')[2] ?? '', 'base64')[0]).toBe(4)
  })

  test('a changed time is a finding', async () => {
    const note = parseNote(await cosigned(1))
    const bytes = Buffer.from(note.signatures[1]?.bytes ?? [])
    bytes[7] = (bytes[7] as number) ^ 1
    const changed = { ...note, signatures: [{ ...note.signatures[1], bytes } as never] }
    expect(codes(verifySignatures(changed, [witness(1).verifierKey]).findings)).toEqual(['SIGNATURE_INVALID'])
  })

  test.each([
    ['no quorum', ''],
    ['two quorums', 'quorum none\nquorum none'],
    ['an unknown quorum', 'quorum W9'],
    ['an unknown member', 'group g any W9\nquorum g'],
    ['a member of two groups', `witness A ${witness(1).verifierKey.text}\ngroup g any A\ngroup h any A\nquorum g`],
    ['a threshold too high', `witness A ${witness(1).verifierKey.text}\ngroup g 2 A\nquorum g`],
    [
      'one key twice',
      `witness A ${witness(1).verifierKey.text}\nwitness B ${witness(1).verifierKey.text}\nquorum none`,
    ],
    ['a name twice', `witness A ${witness(1).verifierKey.text}\nwitness A ${witness(2).verifierKey.text}\nquorum none`],
    ['a reserved name', `witness none ${witness(1).verifierKey.text}\nquorum none`],
    ['an unknown line', 'constructor x\nquorum none'],
    ['a control character', 'quorum none\r'],
  ])('a policy with %s is refused', (_, text) => {
    expect(codeOf(() => parsePolicy(text))).toBe('AUDIT_POLICY_MALFORMED')
  })

  test('a witness key is no log key', () => {
    expect(codeOf(() => trustLogs(witness(1).verifierKey.text))).toBe('AUDIT_KEY_MALFORMED')
  })
})

describe('tlog-proof', () => {
  test('format, parse, verify; and any one changed byte ≡ a finding', async () => {
    await using log = openLog({ store: createMemoryStore(), origin: ORIGIN })
    for (let i = 0; i < 40; i += 1) await log.append({ type: 'test', facts: { i } })
    const note = await signCheckpoint({ origin: ORIGIN, size: 40, rootHash: await log.rootHash(40) }, signer)
    const text = formatTlogProof({
      index: 17,
      proof: await log.proveInclusion(17, 40),
      checkpoint: note,
      extra: Buffer.from('hint'),
    })
    const policy = trustLogs(signer.verifierKey.text)
    const { leaf } = await log.entry(17)
    expect(verifyTlogProof(text, leaf, policy, ORIGIN).findings).toEqual([])
    expect(Buffer.from(parseTlogProof(text).extra ?? []).toString()).toBe('hint')
    expect(verifyTlogProof(text, (await log.entry(18)).leaf, policy).findings).not.toEqual([])

    const bytes = Buffer.from(text)
    const extraLine = [text.indexOf('extra'), text.indexOf('index')] as const
    for (let at = 0; at < bytes.length; at += 1) {
      // Extra data is authenticated by nothing, says the specification.
      if (at >= extraLine[0] && at < extraLine[1]) continue
      const changed = Buffer.from(bytes)
      changed[at] = (changed[at] as number) ^ 0x01
      const { findings } = verifyTlogProof(changed.toString(), leaf, policy, ORIGIN)
      expect([at, findings.length > 0]).toEqual([at, true])
    }
  })

  test('an entry has to stand where it says that it stands', async () => {
    const prev = 'ab'.repeat(32)
    const entry = (log: string, seq: number) =>
      Buffer.from(
        `{"clk":"ok","id":"x","log":"${log}","prev":"${prev}","seq":${seq},"ts":"2026-11-20T12:00:00.012Z","type":"t","v":1}`,
      )
    const read = async (leaf: Uint8Array, index: number) => {
      const hashes = Array.from({ length: 5 }, (_, i) => leafHash(i === index ? leaf : Buffer.of(i)))
      const rootHash = await rootAt(tilesOf(hashes), 5)
      const proof = await proveInclusion(tilesOf(hashes), index, 5)
      const text = formatTlogProof({
        index,
        proof,
        checkpoint: await signCheckpoint({ origin: ORIGIN, size: 5, rootHash }, signer),
      })
      return verifyEntryProof(text, leaf, trustLogs(signer.verifierKey.text))
    }
    expect(await read(entry(ORIGIN, 3), 3)).toMatchObject({ findings: [], entry: { id: 'x' } })
    expect(codes((await read(entry(ORIGIN, 2), 3)).findings)).toEqual(['ENTRY_MISPLACED'])
    expect(codes((await read(entry('example.com/x', 3), 3)).findings)).toContain('ORIGIN_UNEXPECTED')
    expect(codes((await read(Buffer.from('{}'), 3)).findings)).toEqual(['ENTRY_MALFORMED'])
  })

  test('a checkpoint is read without being believed', async () => {
    expect(parseCheckpoint(await signCheckpoint(checkpoint, signer)).size).toBe(7)
  })
})

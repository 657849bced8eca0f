import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  EMPTY_ROOT,
  leafHash,
  nodeHash,
  proveConsistency,
  proveInclusion,
  rootAt,
  verifyConsistency,
  verifyInclusion,
} from '@mcp-gateway/audit-chain/verify'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { tilesOf } from './support/tiles.ts'

const hex = (text: string): Buffer => Buffer.from(text, 'hex')
const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

// https://github.com/transparency-dev/merkle/blob/main/testonly/constants.go, first in google/certificate-transparency
const LEAVES = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f'].map(
  hex,
)
const ROOTS = [
  'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
]
const SIBLINGS = [
  '96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7',
  '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
  '6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4',
]

describe('RFC 6962 vectors', () => {
  test('the roots of the first 0 to 8 reference leaves', async () => {
    const readTile = tilesOf(LEAVES.map(leafHash))
    for (const [size, root] of ROOTS.entries()) expect(hexOf(await rootAt(readTile, size))).toBe(root)
    expect(hexOf(EMPTY_ROOT)).toBe(ROOTS[0])
  })

  test('inclusion of the first leaf in eight', async () => {
    const leaf = leafHash(LEAVES[0] as Buffer)
    const proof = await proveInclusion(tilesOf(LEAVES.map(leafHash)), 0, 8)
    expect(proof.map(hexOf)).toEqual(SIBLINGS)
    expect(verifyInclusion({ index: 0, size: 8, leafHash: leaf, rootHash: hex(ROOTS[8] as string), proof })).toEqual([])
  })

  test.each([
    [1, 8, SIBLINGS],
    [
      6,
      8,
      [
        '0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a',
        'ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0',
        'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
      ],
    ],
    [
      2,
      5,
      [
        '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
        'bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b',
      ],
    ],
  ])('consistency of %i with %i', async (oldSize, size, expected) => {
    const proof = await proveConsistency(tilesOf(LEAVES.map(leafHash)), oldSize, size)
    expect(proof.map(hexOf)).toEqual(expected)
    const [oldRootHash, rootHash] = [hex(ROOTS[oldSize] as string), hex(ROOTS[size] as string)]
    expect(verifyConsistency({ oldSize, oldRootHash, size, rootHash, proof })).toEqual([])
  })
})

/** Trees to 70,000 leaves, so that proofs cross two levels of tiles. */
const HASHES = Array.from({ length: 70_000 }, (_, i) => leafHash(Buffer.from(String(i))))
const readTile = tilesOf(HASHES)
const size = fc.oneof(
  { weight: 15, arbitrary: fc.integer({ min: 1, max: 300 }) },
  { weight: 1, arbitrary: fc.integer({ min: 1, max: HASHES.length }) },
)
const sizeAndIndex = size.chain((n) => fc.tuple(fc.integer({ min: 0, max: n - 1 }), fc.constant(n)))

/** One changed bit of one byte. */
const flip = (bytes: Uint8Array, bit: number): Uint8Array => {
  const changed = Uint8Array.from(bytes)
  const at = Math.floor(bit / 8) % bytes.length
  changed[at] = (changed[at] as number) ^ (1 << (bit % 8))
  return changed
}

describe('proofs', () => {
  test(
    'verify(prove(i, n), root(n)) ≡ true, and any one changed byte anywhere ≡ a finding',
    { timeout: 120_000 },
    async () => {
      await fc.assert(
        fc.asyncProperty(sizeAndIndex, fc.nat(), async ([index, n], noise) => {
          const claim = {
            index,
            size: n,
            leafHash: HASHES[index] as Buffer,
            rootHash: await rootAt(readTile, n),
            proof: await proveInclusion(readTile, index, n),
          }
          expect(verifyInclusion(claim)).toEqual([])
          const at = noise % (claim.proof.length + 2)
          const changed =
            at === 0
              ? { ...claim, leafHash: flip(claim.leafHash, noise) }
              : at === 1
                ? { ...claim, rootHash: flip(claim.rootHash, noise) }
                : { ...claim, proof: claim.proof.map((hash, i) => (i === at - 2 ? flip(hash, noise) : hash)) }
          expect(verifyInclusion(changed)).not.toEqual([])
          expect(verifyInclusion({ ...claim, index: (index + 1) % (n + 1) })).not.toEqual([])
          expect(verifyInclusion({ ...claim, proof: [...claim.proof, HASHES[0] as Buffer] })).not.toEqual([])
          if (n > 1) expect(verifyInclusion({ ...claim, proof: claim.proof.slice(1) })).not.toEqual([])
        }),
        { numRuns: 10_000 },
      )
    },
  )

  test(
    'consistent(prove(m, n), root(m), root(n)) ≡ true, and any one changed byte ≡ a finding',
    { timeout: 120_000 },
    async () => {
      await fc.assert(
        fc.asyncProperty(sizeAndIndex, fc.nat(), async ([index, n], noise) => {
          const oldSize = index + 1
          const claim = {
            oldSize,
            oldRootHash: await rootAt(readTile, oldSize),
            size: n,
            rootHash: await rootAt(readTile, n),
            proof: await proveConsistency(readTile, oldSize, n),
          }
          expect(verifyConsistency(claim)).toEqual([])
          const at = noise % (claim.proof.length + 2)
          const changed =
            at === 0
              ? { ...claim, oldRootHash: flip(claim.oldRootHash, noise) }
              : at === 1
                ? { ...claim, rootHash: flip(claim.rootHash, noise) }
                : { ...claim, proof: claim.proof.map((hash, i) => (i === at - 2 ? flip(hash, noise) : hash)) }
          expect(verifyConsistency(changed)).not.toEqual([])
          expect(verifyConsistency({ ...claim, proof: [...claim.proof, HASHES[0] as Buffer] })).not.toEqual([])
        }),
        { numRuns: 10_000 },
      )
    },
  )

  test('a tree of size 0 proves nothing, and hashes have 32 bytes', async () => {
    const rootHash = await rootAt(readTile, 5)
    const oldRootHash = EMPTY_ROOT
    expect(verifyConsistency({ oldSize: 0, oldRootHash, size: 5, rootHash, proof: [] })).not.toEqual([])
    const short = new Uint8Array(31)
    expect(verifyInclusion({ index: 0, size: 1, leafHash: short, rootHash: short, proof: [] })).not.toEqual([])
    for (const index of [-1, 1, 0.5, Number.NaN, 2 ** 60]) {
      expect(verifyInclusion({ index, size: 1, leafHash: rootHash, rootHash, proof: [] })).not.toEqual([])
    }
  })

  test('the root is that of a tree built by the definition', async () => {
    const root = (hashes: readonly Uint8Array[]): Uint8Array => {
      if (hashes.length < 2) return hashes[0] ?? EMPTY_ROOT
      let k = 1
      while (k * 2 < hashes.length) k *= 2
      return nodeHash(root(hashes.slice(0, k)), root(hashes.slice(k)))
    }
    for (const n of [1, 2, 3, 255, 256, 257, 511, 512, 513, 65_535, 65_536, 65_537]) {
      expect(hexOf(await rootAt(readTile, n))).toBe(hexOf(root(HASHES.slice(0, n))))
    }
  })
})

const SHARED = join(import.meta.dirname, '../../../../shared/vectors/merkle')
const WORK = '/work/shared/vectors/merkle'
const vectors = [process.env['MERKLE_VECTORS'], SHARED, WORK].find((path) => path !== undefined && existsSync(path))

type Vector = Readonly<Record<string, unknown>> & {
  readonly proof: readonly string[] | null
  readonly wantErr: boolean
}

describe('transparency-dev/merkle testdata', () => {
  const read = (name: string): Vector[] => JSON.parse(readFileSync(join(vectors ?? '', name), 'utf8')) as Vector[]
  const bytes = (text: unknown): Uint8Array => Buffer.from(String(text), 'base64')

  test.skipIf(vectors === undefined)('every inclusion and consistency case (skipped: vectors are not here)', () => {
    let count = 0
    for (const { leafIdx, treeSize, leafHash, root, proof, wantErr, desc } of read('inclusion.json')) {
      const claim = { index: Number(leafIdx), size: Number(treeSize), leafHash: bytes(leafHash), rootHash: bytes(root) }
      const findings = verifyInclusion({ ...claim, proof: (proof ?? []).map(bytes) })
      expect([desc, findings.length > 0]).toEqual([desc, wantErr])
      count += 1
    }
    for (const { size1, size2, root1, root2, proof, wantErr, desc } of read('consistency.json')) {
      const claim = { oldSize: Number(size1), size: Number(size2), oldRootHash: bytes(root1), rootHash: bytes(root2) }
      const findings = verifyConsistency({ ...claim, proof: (proof ?? []).map(bytes) })
      expect([desc, findings.length > 0]).toEqual([desc, wantErr])
      count += 1
    }
    expect(count).toBe(196)
  })
})

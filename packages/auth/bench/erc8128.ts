/** Signed requests per second against the bare recovery of their signatures, on one core: `pnpm bench:erc8128`. */
import {
  createAccountVerifier,
  createErc8128,
  createWallets,
  recoverAddress,
  type AuthRequest,
} from '@mcp-gateway/auth'
import { createMemoryReplayStore } from '@mcp-gateway/auth/stores/memory'
import { recoverAddress as viemRecover, toHex } from 'viem'
import { CREATED, sign, signer } from '../test/support/sign.ts'

const REQUESTS = 2000
const ROUNDS = 3

const clock = (): number => CREATED * 1000
const requests: AuthRequest[] = []
for (let request = 0; request < REQUESTS; request++) requests.push(await sign())

const hashes = Array.from({ length: REQUESTS }, (_, index) => new Uint8Array(32).fill(index % 251))
const signatures: Uint8Array[] = []
for (const hash of hashes) signatures.push(Buffer.from((await signer.sign({ hash: toHex(hash) })).slice(2), 'hex'))

async function perSecond(work: (index: number) => unknown): Promise<number> {
  let best = 0
  for (let round = 0; round < ROUNDS; round++) {
    const from = performance.now()
    for (let index = 0; index < REQUESTS; index++) await work(index)
    best = Math.max(best, (REQUESTS / (performance.now() - from)) * 1000)
  }
  return Math.round(best)
}

/** A store that has seen nothing, for every round to start with. */
function scheme() {
  return createErc8128({
    wallets: createWallets({ operators: [{ address: signer.address, consumerId: 'ops', name: 'Ops', roles: [] }] }),
    accounts: createAccountVerifier({ chains: [{ id: 1 }] }),
    replay: createMemoryReplayStore({ clock }),
    clock,
  })
}

let current = scheme()
const recoveries = await perSecond((index) => recoverAddress(hashes[index]!, signatures[index]!))
const verifications = await perSecond((index) => {
  if (index === 0) current = scheme()
  return current.authenticate(requests[index]!)
})
const viem = await perSecond((index) => viemRecover({ hash: hashes[index]!, signature: signatures[index]! }))
const refusal = {
  ...requests[0]!,
  url: 'https://api.example/items',
  headers: { ...requests[0]!.headers, 'content-digest': 'sha-256=:AAAA:' },
}
const refusals = await perSecond(async () => Promise.resolve(current.authenticate(refusal)).catch(() => {}))

console.log(`bare recovery (@noble/curves)     ${recoveries}/s`)
console.log(`bare recovery (viem)              ${viem}/s`)
console.log(
  `signed requests, all checks       ${verifications}/s, ${(verifications / recoveries).toFixed(2)} of the bare recovery`,
)
console.log(`refused before the signature      ${refusals}/s`)

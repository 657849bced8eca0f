/**
 * Accounts through an Ethereum JSON-RPC server: `eth_chainId`, `eth_getCode` and `eth_call`, nothing else.
 *
 * Not viem's `verifyHash`: it tries ECDSA when a contract has said no. Nor its `call`, which follows EIP-3668, by which a
 * contract could make this process fetch any URL. And no error here repeats the server's URL, which often has its key in it.
 */
import type { Address } from './account-id.ts'
import type { AccountReader } from './account-verifier.ts'
import { ERC6492_VALIDATOR } from './erc6492-validator.ts'

/** One JSON-RPC call, as EIP-1193 has it: the result, or a rejection with the server's `code`. */
export type RpcRequest = (call: { readonly method: string; readonly params: readonly unknown[] }) => Promise<unknown>

export type RpcAccountReaderOptions = {
  /** `createHttpRpc({ url })`, or one of your own: with `viem`, `(call) => client.request(call as never)`. */
  readonly request: RpcRequest
  /** Asked of the server once: accounts must not be looked up on another chain (ERC-8128 §3.3.1). */
  readonly chainId: number
}

/** bytes4(keccak256("isValidSignature(bytes32,bytes)")), what is called and what it answers. */
const IS_VALID_SIGNATURE = '1626ba7e'
/** What a contract can bring about by itself. Servers agree on code 3 for a revert, and on nothing for the rest. */
const CONTRACT_CODES = new Set<unknown>([-32000, -32003, -32015, -32603])
const CONTRACT_FAILED = /revert|invalid opcode|invalid jump|out of gas|stack (?:under|over)flow|EVM error/i
const MAX_CAUSES = 8

export function createRpcAccountReader({ request, chainId }: RpcAccountReaderOptions): AccountReader {
  let checked: Promise<void> | undefined

  const ask = async (method: string, params: readonly unknown[]): Promise<string> => {
    const result = await request({ method, params })
    if (typeof result === 'string' && /^0x[0-9a-f]*$/i.test(result)) return result.toLowerCase()
    throw new Error(`the RPC server answered ${method} with something else than hex digits`)
  }
  const checkChain = async (): Promise<void> => {
    const found = Number(await ask('eth_chainId', []))
    if (found !== chainId) throw new Error(`the RPC server is on chain ${found}, not on ${chainId}`)
  }
  const onChain = async (): Promise<void> => {
    checked ??= checkChain()
    try {
      await checked
    } catch (error) {
      checked = undefined
      throw error
    }
  }
  /** Undefined when the contract did not come to an end. */
  const call = async (transaction: { readonly to?: Address; readonly data: string }): Promise<string | undefined> => {
    await onChain()
    try {
      return await ask('eth_call', [transaction, 'latest'])
    } catch (error) {
      if (isContractFailure(error)) return undefined
      throw error
    }
  }
  return {
    async hasCode(address) {
      await onChain()
      return (await ask('eth_getCode', [address, 'latest'])) !== '0x'
    },
    async isValidSignature(address, hash, signature) {
      const data = `0x${IS_VALID_SIGNATURE}${toHex(hash)}${word('40')}${bytes(signature)}`
      return (await call({ to: address, data })) === `0x${IS_VALID_SIGNATURE.padEnd(64, '0')}`
    },
    async isValidWrapped(address, hash, wrapped) {
      const data = `${ERC6492_VALIDATOR}${word(address.slice(2))}${toHex(hash)}${word('60')}${bytes(wrapped)}`
      return /^0x0*1$/.test((await call({ data })) ?? '')
    },
  }
}

function isContractFailure(error: unknown): boolean {
  let cause = error
  for (let depth = 0; depth < MAX_CAUSES && cause instanceof Error; depth++) {
    const code = 'code' in cause ? cause.code : undefined
    if (code === 3 || (CONTRACT_CODES.has(code) && CONTRACT_FAILED.test(cause.message))) return true
    cause = cause.cause
  }
  return false
}

/** The ABI's `bytes`: how many, and as many words as they need. */
function bytes(value: Uint8Array): string {
  return word(value.length.toString(16)) + toHex(value).padEnd(Math.ceil(value.length / 32) * 64, '0')
}

function word(hex: string): string {
  return hex.padStart(64, '0')
}

function toHex(value: Uint8Array): string {
  return Buffer.from(value).toString('hex')
}

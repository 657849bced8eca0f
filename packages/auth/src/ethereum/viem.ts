/**
 * Accounts through a viem client. Plain `eth_getCode` and `eth_call`, not viem's `verifyHash`: that one tries ECDSA when a
 * contract has said no, and counts what an RPC server could not answer as a bad signature. Nor its `call`, which follows
 * EIP-3668: a contract could make this process fetch any URL.
 */
import {
  BaseError,
  encodeDeployData,
  encodeFunctionData,
  erc6492SignatureValidatorAbi,
  erc6492SignatureValidatorByteCode,
  toHex,
  type Client,
  type Hex,
} from 'viem'
import type { Address } from './account-id.ts'
import type { AccountReader } from './account-verifier.ts'

export type ViemAccountReaderOptions = {
  /** With a timeout in its transport. */
  readonly client: Client
  /** Asked of the server once: accounts must not be looked up on another chain (ERC-8128 §3.3.1). */
  readonly chainId: number
}

/** bytes4(keccak256("isValidSignature(bytes32,bytes)")), as an ABI word. */
const VALID = `0x1626ba7e${'0'.repeat(56)}`
const IS_VALID_SIGNATURE = [
  {
    type: 'function',
    name: 'isValidSignature',
    stateMutability: 'view',
    inputs: [{ type: 'bytes32' }, { type: 'bytes' }],
    outputs: [{ type: 'bytes4' }],
  },
] as const
/** What a contract can bring about by itself. Servers agree on code 3 for a revert, and on nothing for the rest. */
const CONTRACT_FAILED = /revert|invalid opcode|invalid jump|out of gas|stack (?:under|over)flow|EVM error/i

export function createViemAccountReader({ client, chainId }: ViemAccountReaderOptions): AccountReader {
  let checked: Promise<void> | undefined

  const checkChain = async (): Promise<void> => {
    const found = Number(await client.request({ method: 'eth_chainId' }))
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
  const call = async (data: Hex, to?: Address): Promise<Hex | undefined> => {
    try {
      return await client.request({
        method: 'eth_call',
        params: [to === undefined ? { data } : { to, data }, 'latest'],
      })
    } catch (error) {
      if (isContractFailure(error)) return undefined
      throw error
    }
  }
  return {
    async hasCode(address) {
      await onChain()
      const code = await client.request({ method: 'eth_getCode', params: [address, 'latest'] })
      return code !== undefined && code !== '0x'
    },
    async isValidSignature(address, hash, signature) {
      await onChain()
      const args = [toHex(hash), toHex(signature)] as const
      const answer = await call(
        encodeFunctionData({ abi: IS_VALID_SIGNATURE, functionName: 'isValidSignature', args }),
        address,
      )
      return answer === VALID
    },
    async isValidWrapped(address, hash, wrapped) {
      await onChain()
      const data = encodeDeployData({
        abi: erc6492SignatureValidatorAbi,
        args: [address, toHex(hash), toHex(wrapped)],
        bytecode: erc6492SignatureValidatorByteCode,
      })
      return /^0x0*1$/.test((await call(data)) ?? '')
    },
  }
}

function isContractFailure(error: unknown): boolean {
  if (!(error instanceof BaseError)) return false
  const cause = error.walk((one) => typeof one === 'object' && one !== null && 'code' in one)
  const code = cause !== null && typeof cause === 'object' && 'code' in cause ? cause.code : undefined
  return code === 3 || ((code === -32000 || code === -32015 || code === -32603) && CONTRACT_FAILED.test(error.details))
}

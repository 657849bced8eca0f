import { createServer, type ServerResponse } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { inspect } from 'node:util'
import {
  createAccountVerifier,
  createErc8128,
  createHttpRpc,
  createRpcAccountReader,
  createWallets,
  hashMessage,
  SignatureError,
  type AccountVerdict,
  type AccountVerifier,
  type PublicKeyRecovery,
  type RpcRequest,
  type Wallet,
} from '@mcp-gateway/auth'
import { createMemoryReplayStore } from '@mcp-gateway/auth/stores/memory'
import {
  concatHex,
  createTestClient,
  createWalletClient,
  encodeDeployData,
  erc6492SignatureValidatorAbi,
  erc6492SignatureValidatorByteCode,
  getContractAddress,
  hexToBytes,
  http,
  keccak256,
  publicActions,
  recoverPublicKey as viemRecoverPublicKey,
  serializeErc6492Signature,
  toHex,
  zeroHash,
  type Hex,
} from 'viem'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { foundry } from 'viem/chains'
import { afterAll, beforeAll, describe, expect, test, type TestContext } from 'vitest'
import { startAnvil, type Anvil } from './support/anvil.ts'
import { CREATED, sign, signer, stranger } from './support/sign.ts'
import { HOSTILE, initCode, walletRuntime } from './support/wallet-contract.ts'

/** There on every anvil chain: takes a salt and code, and deploys it with CREATE2. */
const FACTORY = '0x4e59b44847b379578588920ca78fbf26c0b4956c'
const CHAIN = foundry.id

describe('accounts on a chain', () => {
  let anvil: Anvil | string = 'not started'
  let accounts: AccountVerifier
  beforeAll(async () => {
    anvil = await startAnvil(CHAIN)
    if (typeof anvil !== 'string') accounts = verifierOf(anvil.url)
  })
  afterAll(async () => {
    if (typeof anvil !== 'string') await anvil[Symbol.asyncDispose]()
  })

  const verifierOf = (url: string, chainId: number = CHAIN): AccountVerifier =>
    createAccountVerifier({
      chains: [{ id: chainId, accounts: createRpcAccountReader({ request: createHttpRpc({ url }), chainId }) }],
    })
  const chain = (context: TestContext) => {
    if (typeof anvil === 'string') return context.skip(anvil)
    return createTestClient({ chain: foundry, mode: 'anvil', transport: http(anvil.url) }).extend(publicActions)
  }
  const newWallet = (): Wallet => ({
    address: privateKeyToAccount(generatePrivateKey()).address.toLowerCase() as Hex,
    chainId: CHAIN,
  })
  const message = 'hello'
  const verify = async (wallet: Wallet, signature: Hex, verifier = accounts): Promise<AccountVerdict> =>
    verifier.verify(wallet, hashMessage(message), hexToBytes(signature))

  test('an account with a key of its own', async (context) => {
    chain(context)
    const wallet = { address: signer.address.toLowerCase() as Hex, chainId: CHAIN }
    expect(await verify(wallet, await signer.signMessage({ message }))).toBe('key')
    expect(await verify(wallet, await stranger.signMessage({ message }))).toBe('invalid')
  })

  test('a viem client can be asked as well', async (context) => {
    const client = chain(context)
    const request: RpcRequest = async (call) => client.request(call as never)
    const reader = createRpcAccountReader({ request, chainId: CHAIN })
    const { address } = newWallet()
    expect(await reader.hasCode(address)).toBe(false)
    await client.setCode({ address, bytecode: walletRuntime(signer.address) })
    expect(await reader.hasCode(address)).toBe(true)
    await client.setCode({ address, bytecode: '0x60006000fd' })
    expect(await reader.isValidSignature(address, hashMessage(message), new Uint8Array(65))).toBe(false)
  })

  test('a contract that was deployed: its owner signs', async (context) => {
    const client = chain(context)
    const [from] = await createWalletClient({ chain: foundry, transport: http(client.transport.url) }).getAddresses()
    const deployer = createWalletClient({ account: from!, chain: foundry, transport: http(client.transport.url) })
    const hash = await deployer.sendTransaction({ data: initCode(walletRuntime(signer.address)) })
    const { contractAddress } = await client.waitForTransactionReceipt({ hash })
    const wallet = { address: contractAddress!.toLowerCase() as Hex, chainId: CHAIN }
    expect(await verify(wallet, await signer.signMessage({ message }))).toBe('contract')
    expect(await verify(wallet, await stranger.signMessage({ message }))).toBe('invalid')
    expect(await verify(wallet, await signer.signMessage({ message: 'another' }))).toBe('invalid')
  })

  test('an account that has code: its key does not count any more', async (context) => {
    const client = chain(context)
    const own = privateKeyToAccount(generatePrivateKey())
    const wallet = { address: own.address.toLowerCase() as Hex, chainId: CHAIN }
    expect(await verify(wallet, await own.signMessage({ message }))).toBe('key')
    await client.setCode({ address: own.address, bytecode: walletRuntime(stranger.address) })
    expect(await verify(wallet, await own.signMessage({ message }))).toBe('invalid')
    expect(await verify(wallet, await stranger.signMessage({ message }))).toBe('contract')
  })

  test('an account that has delegated (EIP-7702): what it delegates to decides', async (context) => {
    const client = chain(context)
    const [own, { address: delegate }] = [privateKeyToAccount(generatePrivateKey()), newWallet()]
    await client.setCode({ address: delegate, bytecode: walletRuntime(stranger.address) })
    await client.setCode({ address: own.address, bytecode: concatHex(['0xef0100', delegate]) })
    const wallet = { address: own.address.toLowerCase() as Hex, chainId: CHAIN }
    expect(await verify(wallet, await own.signMessage({ message }))).toBe('invalid')
    expect(await verify(wallet, await stranger.signMessage({ message }))).toBe('contract')
  })

  for (const [deed, bytecode] of Object.entries(HOSTILE)) {
    test(`a contract that ${deed} has not signed`, async (context) => {
      const client = chain(context)
      const wallet = newWallet()
      await client.setCode({ address: wallet.address, bytecode })
      expect(await verify(wallet, await signer.signMessage({ message }))).toBe('invalid')
    })
  }

  test('a contract that is not deployed yet (ERC-6492)', async (context) => {
    const client = chain(context)
    const bytecode = initCode(walletRuntime(signer.address))
    const address = getContractAddress({ opcode: 'CREATE2', from: FACTORY, salt: zeroHash, bytecode })
    const wallet = { address: address.toLowerCase() as Hex, chainId: CHAIN }
    const wrap = (signature: Hex, code = bytecode): Hex =>
      serializeErc6492Signature({ address: FACTORY, data: concatHex([zeroHash, code]), signature })
    expect(await verify(wallet, wrap(await signer.signMessage({ message })))).toBe('contract')
    expect(await verify(wallet, wrap(await stranger.signMessage({ message })))).toBe('invalid')
    // Without the wrapper there is no code, and no key can have this address.
    expect(await verify(wallet, await signer.signMessage({ message }))).toBe('invalid')
    // A wrapper that deploys something of one's own, elsewhere.
    const forged = wrap(await stranger.signMessage({ message }), initCode(walletRuntime(stranger.address)))
    expect(await verify(wallet, forged)).toBe('invalid')
    expect(await client.getCode({ address })).toBe(undefined)
  })

  test('a wrapper around the signature of a key is no way around the wrapper', async (context) => {
    chain(context)
    const wallet = { address: signer.address.toLowerCase() as Hex, chainId: CHAIN }
    const signature = await signer.signMessage({ message })
    const wrapped = serializeErc6492Signature({ address: FACTORY, data: '0x', signature })
    expect(await verify(wallet, wrapped)).toBe('invalid')
  })

  test('a server on another chain, or none at all, is unavailable and no bad signature', async (context) => {
    const client = chain(context)
    const wallet = { address: signer.address.toLowerCase() as Hex, chainId: 5 }
    const signature = await signer.signMessage({ message })
    const code = { code: 'AUTH_SIGNATURE_UNVERIFIABLE' }
    await expect(verify(wallet, signature, verifierOf(client.transport.url ?? '', 5))).rejects.toMatchObject(code)
    await expect(verify(wallet, signature, verifierOf('http://127.0.0.1:1', 5))).rejects.toMatchObject(code)
  })

  test('a signed request of a contract, when the chain of its operator is named', async (context) => {
    const client = chain(context)
    const { address } = newWallet()
    await client.setCode({ address, bytecode: walletRuntime(signer.address) })
    const operator = { address, consumerId: 'safe', name: 'Safe', roles: [] }
    const clock = (): number => CREATED * 1000
    const scheme = (chainIds?: number[]) =>
      createErc8128({
        wallets: createWallets({ operators: [{ ...operator, chainIds }] }),
        accounts,
        replay: createMemoryReplayStore({ clock }),
        clock,
      })
    const signed = async () => sign({ keyid: `eip155:${CHAIN}:${address}` })
    expect(await scheme([CHAIN]).authenticate(await signed())).toMatchObject({ id: 'safe' })
    const refused = Promise.resolve(scheme().authenticate(await signed()))
    await expect(refused).rejects.toMatchObject({ reason: 'principal_not_allowed' })
    await expect(refused).rejects.toBeInstanceOf(SignatureError)
  })
})

describe('createRpcAccountReader', () => {
  test('sends the validator of ERC-6492 that viem ships, with the same arguments', async () => {
    const calls: unknown[] = []
    const request = async (call: { method: string; params: readonly unknown[] }): Promise<unknown> => {
      calls.push(call.params[0])
      return call.method === 'eth_chainId' ? '0x1' : '0x01'
    }
    const reader = createRpcAccountReader({ request, chainId: 1 })
    const hash = hashMessage('x')
    const wrapped = new Uint8Array(37).fill(9)
    expect(await reader.isValidWrapped(signer.address.toLowerCase() as Hex, hash, wrapped)).toBe(true)
    const data = encodeDeployData({
      abi: erc6492SignatureValidatorAbi,
      args: [signer.address, toHex(hash), toHex(wrapped)],
      bytecode: erc6492SignatureValidatorByteCode,
    })
    expect(calls).toEqual([undefined, { data }])
  })

  const asked = async (failure: Error | undefined): Promise<boolean> => {
    const request = async ({ method }: { method: string }): Promise<unknown> => {
      if (method === 'eth_chainId') return '0x1'
      if (failure === undefined) return { jsonrpc: '2.0' }
      throw failure
    }
    const reader = createRpcAccountReader({ request, chainId: 1 })
    return reader.isValidSignature(`0x${'1'.repeat(40)}`, hashMessage('x'), new Uint8Array(65))
  }
  const rpcError = (code: number, message: string): Error => Object.assign(new Error(message), { code })

  test.each<[string, Error]>([
    ['a revert, as most servers say it', rpcError(3, 'execution reverted')],
    ['a revert that a client has wrapped', new Error('x', { cause: rpcError(3, 'y') })],
    ['out of gas', rpcError(-32000, 'out of gas')],
  ])("%s is the contract's own no", async (_, failure) => expect(await asked(failure)).toBe(false))

  test.each<[string, Error | undefined]>([
    ['a rate limit', rpcError(-32005, 'limit exceeded')],
    ['a missing state', rpcError(-32000, 'missing trie node')],
    ['a lost connection', new Error('ECONNRESET: reverted')],
    ['an answer that is none', undefined],
  ])('%s is no answer of the contract', async (_, failure) => expect(asked(failure)).rejects.toThrow())
})

describe('createHttpRpc', () => {
  const KEY = 'secret-api-key'
  const ask = async (reply: (response: ServerResponse) => void): Promise<unknown> => {
    const server = createServer((_request, response) => reply(response)).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/${KEY}`
    try {
      return await createHttpRpc({ url, timeoutMs: 300 })({ method: 'eth_chainId', params: [] })
    } catch (error) {
      expect(inspect(error)).not.toContain(KEY)
      return error
    } finally {
      server.closeAllConnections()
      server.close()
    }
  }

  test('gives the result', async () => {
    expect(await ask((response) => response.end('{"jsonrpc":"2.0","id":1,"result":"0x1"}'))).toBe('0x1')
  })

  test.each<[string, (response: ServerResponse) => void, object]>([
    [
      'an error, with its code',
      (response) => response.end('{"error":{"code":3,"message":"execution reverted"}}'),
      { code: 3 },
    ],
    ['HTML', (response) => response.end('<html>'), { message: 'the RPC server answered HTTP 200 without JSON' }],
    ['a 500', (response) => response.writeHead(500).end('{}'), { message: 'the RPC server answered HTTP 500' }],
    ['a redirect', (response) => response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end(), {}],
    ['no end', (response) => response.write('{"result":"0x'), {}],
    [
      '2 MB',
      (response) => response.end(`"${'x'.repeat(2_000_000)}"`),
      { message: expect.stringContaining('longer than') as string },
    ],
  ])('rejects %s, without its URL', async (_, reply, expected) => {
    const error = await ask(reply)
    expect(error).toBeInstanceOf(Error)
    expect(error).toMatchObject(expected)
  })
})

describe('createAccountVerifier', () => {
  test('asks a chain no more than maxPending questions at a time', async () => {
    let release = (): void => {}
    const hasCode = async (): Promise<boolean> => new Promise((resolve) => (release = () => resolve(false)))
    const isValid = async (): Promise<boolean> => false
    const reader = { hasCode, isValidSignature: isValid, isValidWrapped: isValid }
    const verifier = createAccountVerifier({ chains: [{ id: 1, accounts: reader }], maxPending: 1 })
    const wallet = { address: signer.address.toLowerCase() as Hex, chainId: 1 }
    const signature = hexToBytes(await signer.signMessage({ message: 'x' }))
    const first = verifier.verify(wallet, hashMessage('x'), signature)
    await expect(verifier.verify(wallet, hashMessage('x'), signature)).rejects.toMatchObject({
      code: 'AUTH_SIGNATURE_UNVERIFIABLE',
    })
    release()
    expect(await first).toBe('key')
  })

  test('another library can do the arithmetic, but not say what a signature looks like', async () => {
    const asked: number[] = []
    const recoverPublicKey: PublicKeyRecovery = async (hash, rs, recoveryId) => {
      asked.push(recoveryId)
      const key = await viemRecoverPublicKey({
        hash: toHex(hash),
        signature: concatHex([toHex(rs), toHex(27 + recoveryId)]),
      })
      return hexToBytes(key)
    }
    const verifier = createAccountVerifier({ chains: [{ id: 1 }], recoverPublicKey })
    const wallet = { address: signer.address.toLowerCase() as Hex, chainId: 1 }
    const verify = async (signature: Uint8Array) => verifier.verify(wallet, hashMessage('x'), signature)
    const good = hexToBytes(await signer.signMessage({ message: 'x' }))
    expect(await verify(good)).toBe('key')
    expect(await verify(hexToBytes(await stranger.signMessage({ message: 'x' })))).toBe('invalid')
    expect(asked).toHaveLength(2)
    for (const wrong of [
      good.with(64, 0),
      good.with(0, 255).fill(255, 0, 32),
      good.subarray(0, 64),
      good.with(32, 255),
    ]) {
      expect(await verify(wrong)).toBe('invalid')
    }
    expect(asked).toHaveLength(2)
  })

  test('a library that fails, or gives something else than a key, has found nobody', async () => {
    const wallet = { address: signer.address.toLowerCase() as Hex, chainId: 1 }
    const good = hexToBytes(await signer.signMessage({ message: 'x' }))
    const broken: PublicKeyRecovery[] = [
      async () => Promise.reject(new Error('no point')),
      () => new Uint8Array(33).fill(2),
      () => new Uint8Array(),
    ]
    for (const recoverPublicKey of broken) {
      const verifier = createAccountVerifier({ chains: [{ id: 1 }], recoverPublicKey })
      expect(await verifier.verify(wallet, hashMessage('x'), good)).toBe('invalid')
    }
  })

  test.each([[[{ id: 1 }, { id: 1 }]], [[{ id: 0 }]], [[{ id: 1.5 }]]])('refuses the chains %j', (chains) => {
    expect(() => createAccountVerifier({ chains })).toThrow(TypeError)
  })

  test('hashes as personal_sign does', () => {
    // https://eips.ethereum.org/EIPS/eip-191, version 0x45; the hash of viem for the same text.
    expect(toHex(hashMessage('hello'))).toBe(keccak256(toHex('\x19Ethereum Signed Message:\n5hello')))
  })
})

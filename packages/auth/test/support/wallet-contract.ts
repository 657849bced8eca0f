/**
 * The smallest ERC-1271 wallet, by hand so that no compiler is needed: `isValidSignature` is true when ecrecover gives the
 * owner that is written into the code. Everything that is called is taken for `isValidSignature(bytes32,bytes)` with 65 bytes.
 */
import type { Address, Hex } from 'viem'

export function walletRuntime(owner: Address): Hex {
  const code = [
    '600435600052', // mem[0x00] = hash
    '60a43560001a602052', // mem[0x20] = v, the first byte of the third word of the signature
    '606435604052', // mem[0x40] = r
    '608435606052', // mem[0x60] = s
    '602060806080600060015afa50', // mem[0x80] = ecrecover(mem[0x00 … 0x80])
    `60805173${owner.slice(2).toLowerCase()}14`, // is it the owner
    '631626ba7e0260e01b', // the magic value or nothing, to the left
    '60005260206000f3',
  ].join('')
  return `0x${code}`
}

/** Code that deploys a runtime of less than 256 bytes. */
export function initCode(runtime: Hex): Hex {
  const length = ((runtime.length - 2) / 2).toString(16).padStart(2, '0')
  return `0x60${length}80600b6000396000f3${runtime.slice(2)}`
}

/** Always reverts; runs out of gas; runs into an invalid opcode. */
export const HOSTILE: Readonly<Record<string, Hex>> = {
  reverts: '0x60006000fd',
  'never ends': '0x5b600056',
  'has an invalid opcode': '0xfe',
  'returns nothing': '0x00',
  'returns one byte': '0x60016000f3',
  'returns the magic value with something behind it': '0x631626ba7e60e01b60010160005260206000f3',
}

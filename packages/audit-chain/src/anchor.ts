/**
 * Where checkpoints go, so that they outlive the database and whoever administers it. A place keeps the last one and gives
 * it back, a witness signs it after having checked it against the one before, an anchor takes it and returns evidence.
 */

/** A signed checkpoint on its way out. */
export type SignedCheckpoint = {
  readonly origin: string
  readonly size: number
  readonly rootHash: Uint8Array
  readonly note: string
}

/** A second place for the last signed checkpoint: another disk, a bucket with object lock, another organisation. */
export interface CheckpointPlace {
  readonly name: string
  last(origin: string, signal?: AbortSignal): Promise<string | undefined>
  /** Durable when it resolves. */
  keep(checkpoint: SignedCheckpoint, signal?: AbortSignal): Promise<void>
}

/** Somebody else who checks that a log only grows, and says so with a cosignature. */
export interface Witness {
  readonly name: string
  /** `prove(oldSize)` gives the consistency proof from there. Returns signature lines. */
  cosign(
    checkpoint: SignedCheckpoint,
    prove: (oldSize: number) => Promise<readonly Uint8Array[]>,
    signal?: AbortSignal,
  ): Promise<string>
}

/** A timestamp authority, a bucket: takes checkpoints and gives evidence, in its own form. */
export interface Anchor {
  readonly name: string
  anchor(checkpoint: SignedCheckpoint, signal?: AbortSignal): Promise<Uint8Array | undefined>
}

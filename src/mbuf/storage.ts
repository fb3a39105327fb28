import { invariant } from "../invariant.ts";

/** Bytes that an mbuf shows and does not own: a page, or anything else that counts its holders. */
export type Storage = {
  /** All of the storage's bytes; no copy. */
  readonly bytes: Buffer;
  /** How many holds there are. A storage that does not say counts as shared: nobody writes to it. */
  readonly holdCount?: number;
  /** One release more is needed from now on. */
  hold(): unknown;
  release(): void;
};

/** The `length` bytes of `storage` from `offset` on; no copy. Nothing is made for all of it: views are most of what a chain would cost the garbage collector. */
export function viewOf({ bytes }: Storage, offset: number, length: number): Buffer {
  return length === bytes.length ? bytes : bytes.subarray(offset, offset + length);
}

/**
 * Storage from elsewhere that counts its holds itself, and hands itself back when the last one is let go. mbuf(9), m_extadd()
 *
 *     1 ──hold──▶ 2 ──release──▶ 1 ──release──▶ 0: free(), once
 */
export class ExternalStorage implements Storage {
  readonly bytes: Buffer;
  readonly #free: (() => void) | null;
  #holdCount = 1;

  /** `free` null: there is nothing to do but forget the bytes. */
  constructor(bytes: Uint8Array, free: (() => void) | null) {
    this.bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#free = free;
  }

  get holdCount(): number {
    return this.#holdCount;
  }

  hold(): void {
    invariant(this.#holdCount > 0, "who shows bytes has a hold on their storage");
    this.#holdCount++;
  }

  release(): void {
    invariant(this.#holdCount > 0, "who shows bytes has a hold on their storage");
    if (--this.#holdCount === 0) this.#free?.();
  }
}

/**
 * Lets go of all of `storages`, also when a free routine throws: the first error surfaces when the last one has gone.
 */
export function letGo(storages: readonly Storage[]): void {
  let failure: { readonly error: unknown } | null = null;
  for (const storage of storages) {
    try {
      storage.release();
    } catch (error) {
      failure ??= { error };
    }
  }
  if (failure !== null) throw failure.error;
}

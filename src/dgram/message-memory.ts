import { markAsUntransferable } from "node:worker_threads";
import { copyBytes } from "../memory/copy-bytes.ts";

/** The most that one kept message can pin: what a super-datagram has. */
const SLAB_BYTES_MAX = 65_536;
/** So much a typed array keeps in itself, for which no memory has to be allocated. */
const IN_PLACE_BYTES_MAX = 64;

/** The class of which all Buffers are: given bytes, it copies them. Node has it there for `slice` and `map`. */
const BufferOf = Reflect.get(Buffer, Symbol.species) as new (bytes: Uint8Array) => Buffer<ArrayBuffer>;

/** The same bytes in memory of their own, exactly as long: as Node hands messages over. */
export function ownCopyOf(bytes: Buffer): Buffer<ArrayBuffer> {
  if (bytes.length <= IN_PLACE_BYTES_MAX) return new BufferOf(bytes);
  const own = Buffer.allocUnsafeSlow(bytes.length);
  copyBytes(bytes, own, 0);
  return own;
}

const NOTHING: Buffer<ArrayBuffer> = Buffer.alloc(0);

/**
 * Memory for messages that are the user's to keep and may share it: those of a batch side by side in one allocation.
 *
 *     slab  [ message | message | message | …      exactly as long as what is expected, at most 64 KiB
 */
export class MessageSlab {
  #expectedBytes = 0;
  #slab: Buffer<ArrayBuffer> = NOTHING;
  #isShared = false;
  #used = 0;

  /** `bytes` are to be copied, in one or more calls, for so many messages. */
  expect(bytes: number, messages: number): void {
    this.#expectedBytes = bytes;
    this.#isShared = messages > 1;
  }

  /** Nothing more is to be copied: messages of different batches share nothing, and at rest nothing is kept. */
  done(): void {
    this.#slab = NOTHING;
    this.#used = 0;
  }

  /** The same bytes, in memory that nobody else writes to. */
  copy(bytes: Buffer): Buffer<ArrayBuffer> {
    const { length } = bytes;
    if (length === 0) return Buffer.alloc(0); // whoever gives its memory away gives nobody else's
    if (this.#slab.length - this.#used < length) {
      this.#slab = Buffer.allocUnsafeSlow(Math.max(length, Math.min(this.#expectedBytes, SLAB_BYTES_MAX)));
      this.#used = 0;
      // Who transfers a message to another thread must not take its neighbours along.
      if (this.#isShared) markAsUntransferable(this.#slab.buffer);
    }
    const start = this.#used;
    this.#used += length;
    this.#expectedBytes -= length;
    copyBytes(bytes, this.#slab, start);
    return this.#slab.subarray(start, this.#used);
  }
}

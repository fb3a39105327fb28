import { markAsUntransferable } from "node:worker_threads";
import { copyBytes } from "../memory/copy-bytes.ts";

/** The most that one kept message can pin: what a super-datagram has. */
const SLAB_BYTES_MAX = 65_536;

const NOTHING: Buffer = Buffer.alloc(0);

/**
 * Memory for messages that are the user's to keep: those of a batch side by side in one allocation, a single one in one of its own size.
 *
 *     slab  [ message | message | message | …      exactly as long as what is expected, at most 64 KiB
 */
export class MessageSlab {
  #expectedBytes = 0;
  #slab: Buffer = NOTHING;
  #used = 0;

  /** `bytes` are to be copied, in one or more calls. */
  expect(bytes: number): void {
    this.#expectedBytes = bytes;
  }

  /** Nothing more is to be copied: messages of different batches share nothing, and at rest nothing is kept. */
  done(): void {
    this.#slab = NOTHING;
    this.#used = 0;
  }

  /** The same bytes, in memory that nobody else writes to. */
  copy(bytes: Buffer): Buffer {
    const { length } = bytes;
    if (this.#slab.length - this.#used < length) {
      this.#slab = Buffer.allocUnsafeSlow(Math.max(length, Math.min(this.#expectedBytes, SLAB_BYTES_MAX)));
      this.#used = 0;
      // Who transfers a message to another thread must not take its neighbours along.
      if (this.#slab.length > length) markAsUntransferable(this.#slab.buffer);
    }
    const start = this.#used;
    this.#used += length;
    this.#expectedBytes -= length;
    copyBytes(bytes, this.#slab, start);
    return this.#slab.subarray(start, this.#used);
  }
}

import assert from "node:assert/strict";
import { Mbuf } from "../../src/mbuf/index.ts";
import type { Storage } from "../../src/mbuf/index.ts";

/**
 * A storage that knows what must never happen to it: a hold or a release after its last one, and a write outside of the
 * stretches that mbufs were given.
 */
export class CountedStorage implements Storage {
  readonly #memory: Buffer;
  readonly #original: Buffer;
  readonly #given: boolean[];
  holdCount = 1;
  frees = 0;

  constructor(bytes: Buffer) {
    this.#memory = bytes;
    this.#original = Buffer.from(bytes);
    this.#given = Array.from(bytes, () => false);
  }

  get bytes(): Buffer {
    assert(this.holdCount > 0, "nobody looks at a storage that was let go");
    return this.#memory;
  }

  hold(): void {
    assert(this.holdCount > 0, "nobody holds a storage that was let go");
    this.holdCount++;
  }

  release(): void {
    assert(this.holdCount > 0, "nobody lets a storage go more often than it was held");
    if (--this.holdCount === 0) this.frees++;
  }

  /** An mbuf over a stretch of it, with a hold of its own. */
  mbuf(offset: number, length: number): Mbuf {
    this.hold();
    this.#given.fill(true, offset, offset + length);
    return new Mbuf(this, offset, length);
  }

  /** True when `view` is a stretch of this storage. */
  contains(view: Buffer): boolean {
    const start = this.#memory.byteOffset;
    const isInside = view.byteOffset >= start && view.byteOffset < start + this.#memory.length;
    return view.buffer === this.#memory.buffer && isInside;
  }

  /** What lies beside the mbufs belongs to a receiver. */
  assertUntouchedBeside(): void {
    for (let i = 0; i < this.#original.length; i++) {
      assert(this.#given[i] || this.#memory[i] === this.#original[i], `byte ${i} belongs to no mbuf and was written`);
    }
  }
}

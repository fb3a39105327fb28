import { viewOf } from "./storage.ts";
import type { Storage } from "./storage.ts";

/**
 * A stretch of one storage, as it lies in a chain. Internal.
 *
 *     storage  ┌───────────┬─────────┬───────────────┬──────────┬────────────┐
 *              │ not ours  │ leading │ the segment   │ trailing │ not ours   │
 *              └───────────┴─────────┴───────────────┴──────────┴────────────┘
 *                          roomStart offset ──length──▶         roomEnd
 *
 * The room is what the mbuf covered that the segment came from: beside it a receiver may still be filling the storage. It may
 * be written to by the storage's sole holder only. mbuf(9), M_LEADINGSPACE()
 *
 * It knows nothing of holds: who makes or drops a segment sees to them.
 */
export class Segment {
  readonly storage: Storage;
  offset: number;
  length: number;
  /** Where it begins on its chain's number line; the deque's to change. */
  at = 0;
  #roomStart: number;
  #roomEnd: number;
  #bytes: Buffer | null = null;

  constructor(storage: Storage, offset: number, length: number, roomStart: number, roomEnd: number) {
    this.storage = storage;
    this.offset = offset;
    this.length = length;
    this.#roomStart = roomStart;
    this.#roomEnd = roomEnd;
  }

  /** Exactly the segment's bytes; no copy. */
  get bytes(): Buffer {
    return (this.#bytes ??= viewOf(this.storage, this.offset, this.length));
  }

  /** Bytes before the segment that may be written to. */
  get leadingSpaceBytes(): number {
    return this.storage.holdCount === 1 ? this.offset - this.#roomStart : 0;
  }

  /** Bytes behind the segment that may be written to. */
  get trailingSpaceBytes(): number {
    return this.storage.holdCount === 1 ? this.#roomEnd - this.offset - this.length : 0;
  }

  /** The same storage from `start` on, `length` bytes of this segment, for a chain that takes a hold of its own. */
  part(start: number, length: number): Segment {
    return new Segment(this.storage, this.offset + start, length, this.#roomStart, this.#roomEnd);
  }

  /** Longer (or, below 0, shorter) by so many bytes at the front. */
  extendFront(bytes: number): void {
    this.offset -= bytes;
    this.length += bytes;
    this.#bytes = null;
  }

  /** Longer (or, below 0, shorter) by so many bytes at the back. */
  extendBack(bytes: number): void {
    this.length += bytes;
    this.#bytes = null;
  }

  /** Takes over `next` if it shows the bytes right behind this segment: one segment, and one hold, for both. */
  absorb(next: Segment): boolean {
    if (next.storage !== this.storage || next.offset !== this.offset + this.length) return false;
    this.extendBack(next.length);
    this.#roomStart = Math.min(this.#roomStart, next.#roomStart);
    this.#roomEnd = Math.max(this.#roomEnd, next.#roomEnd);
    return true;
  }
}

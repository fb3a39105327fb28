import type { JumboPool, Page } from "../index.ts";
import { Mbuf } from "../mbuf/mbuf.ts";

/**
 * Puts bytes one behind the other into pages, and cuts what is there into pieces for a writer.
 *
 *     page  ┌──────────────────┬───────────────┬───────────────┐
 *           │ piece, on its way│ being put here│      rest     │
 *           └──────────────────┴───────────────┴───────────────┘
 *                              start           end
 *
 * Between {@link take} and the next byte it holds nothing, like the `PageFiller`: the pieces hold the page, and when the last of
 * them is written the page is free. So nothing is in use at rest, and nobody waits for a page that waits for bytes. When the
 * pool has no page, memory of our own stands in for it, until it is written; see {@link standIn}.
 */
export class FramePages {
  readonly #pool: JumboPool;
  #pieces: Mbuf[] = [];
  #page: Page | OwnMemory | null = null;
  #isHolding = false;
  #start = 0;
  #end = 0;
  #standIns = 0;
  #standIn: Promise<void> | null = null;
  #settleStandIn: () => void = () => {};

  constructor(pool: JumboPool) {
    this.#pool = pool;
  }

  /** Settles when the memory that stands in for pages is let go: who adds more should wait for it. Null without such memory. */
  get standIn(): Promise<void> | null {
    return this.#standIn;
  }

  /** Where to write in what {@link room} has returned. */
  get end(): number {
    return this.#end;
  }

  /** A page with room for `lengthBytes`, less than a page, from {@link end} on. */
  room(lengthBytes: number): Buffer {
    const page = this.#pageWith(lengthBytes);
    this.#isHolding = true;
    return (this.#page = page).bytes;
  }

  /** So many bytes have been written to the room. */
  advance(lengthBytes: number): void {
    this.#end += lengthBytes;
  }

  /** At least one byte. */
  copy(bytes: Uint8Array): void {
    const room = this.room(bytes.length);
    const end = this.#end + bytes.length;
    // Not set(): V8 copies shared memory word by word, which takes several times as long as this, one memcpy.
    room.fill(bytes, this.#end, end);
    this.#end = end;
  }

  /** Bytes that stay where they are: takes over the borrow of `mbuf`. */
  append(mbuf: Mbuf): void {
    this.#cut();
    this.#pieces.push(mbuf);
  }

  /** What has been put here since the last time, in order, borrowed. */
  take(): Mbuf[] {
    this.#cut();
    this.#letGo();
    const pieces = this.#pieces;
    this.#pieces = [];
    return pieces;
  }

  /** With a hold of ours. */
  #pageWith(lengthBytes: number): Page | OwnMemory {
    const page = this.#page;
    if (page !== null && this.#end + lengthBytes <= this.#pool.pageSizeBytes) {
      if (this.#isHolding) return page;
      if (!page.isReleased) return page.hold();
    }
    this.#cut();
    this.#letGo();
    this.#start = this.#end = 0;
    return this.#pool.alloc() ?? this.#makeStandIn();
  }

  #makeStandIn(): OwnMemory {
    this.#standIn ??= new Promise((resolve) => (this.#settleStandIn = resolve));
    this.#standIns++;
    return new OwnMemory(this.#pool.pageSizeBytes, () => {
      if (--this.#standIns > 0) return;
      this.#standIn = null;
      this.#settleStandIn();
    });
  }

  #cut(): void {
    if (this.#page === null || this.#start === this.#end) return;
    this.#pieces.push(new Mbuf(this.#page.hold(), this.#start, this.#end - this.#start));
    this.#start = this.#end;
  }

  #letGo(): void {
    if (this.#isHolding) this.#page?.release();
    this.#isHolding = false;
  }
}

/** Stands in for a page when the pool has none. */
class OwnMemory {
  readonly bytes: Buffer;
  readonly #onReleased: () => void;
  #holds = 1;

  constructor(sizeBytes: number, onReleased: () => void) {
    this.bytes = Buffer.allocUnsafeSlow(sizeBytes);
    this.#onReleased = onReleased;
  }

  get isReleased(): boolean {
    return this.#holds === 0;
  }

  hold(): this {
    this.#holds++;
    return this;
  }

  release(): void {
    if (--this.#holds === 0) this.#onReleased();
  }
}

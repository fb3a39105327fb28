import { Mbuf } from "../mbuf/mbuf.ts";
import type { Storage } from "../mbuf/mbuf.ts";
import type { Page } from "../pool/page.ts";
import type { JumboPool } from "../pool/pool.ts";

/**
 * Copies received bytes into pages, one behind the other, so that many small pieces share a page.
 *
 *     page  ┌─────────┬─────────┬───────┬─────────────────┐
 *           │ mbuf A  │ mbuf B  │ mbuf C│      rest       │
 *           └─────────┴─────────┴───────┴─────────────────┘
 *                                       ▲ #offset
 *
 * It holds nothing itself. The mbufs hold the page; when the last one lets go the page is free, the filler finds its handle
 * stale, and takes another. So nothing is in use at rest, and no page is kept for a piece that may never come.
 *
 * One for each pool, shared by all its receivers. Thread: owner only.
 */
export class PageFiller {
  readonly #pool: JumboPool;
  #page: Page | null = null;
  #offset = 0;
  /** Bytes that found no page and went to the heap. */
  #overflowBytes = 0;

  constructor(pool: JumboPool) {
    this.#pool = pool;
  }

  get overflowBytes(): number {
    return this.#overflowBytes;
  }

  /** Copies `source` into as many mbufs as its pages make, in order, each given to `push` as borrowed. */
  copy(source: Uint8Array, push: (mbuf: Mbuf) => void): void {
    const { pageSizeBytes } = this.#pool;
    for (let start = 0; start < source.length; start += pageSizeBytes) {
      push(this.#copyPiece(source.subarray(start, start + pageSizeBytes)));
    }
  }

  /** Takes over what is left of `page` from `offset` on, if that is more than there is. The caller keeps its own hold. */
  adopt(page: Page, offset: number): void {
    if (this.#rest() >= this.#pool.pageSizeBytes - offset) return;
    this.#page = page;
    this.#offset = offset;
  }

  /** `piece` is at most a page long. */
  #copyPiece(piece: Uint8Array): Mbuf {
    const page = this.#pageFor(piece.length);
    if (page === null) return this.#overflow(piece);
    const offset = this.#offset;
    page.bytes.set(piece, offset);
    this.#offset += piece.length;
    return new Mbuf(page, offset, piece.length);
  }

  /** The page for `lengthBytes` more, with a hold for the mbuf; null when the pool is exhausted. */
  #pageFor(lengthBytes: number): Page | null {
    if (this.#page !== null && this.#rest() >= lengthBytes) return this.#page.hold();
    this.#page = this.#pool.alloc();
    this.#offset = 0;
    return this.#page;
  }

  #rest(): number {
    return this.#page === null || this.#page.isReleased ? 0 : this.#pool.pageSizeBytes - this.#offset;
  }

  /**
   * The last resort. Reading stops well before a pool is exhausted; what Node had read already must go somewhere all the
   * same: at most one read for each socket (64 KiB with TLS). Never dropped, never written over what somebody holds.
   */
  #overflow(piece: Uint8Array): Mbuf {
    this.#overflowBytes += piece.length;
    return new Mbuf(heapStorage(piece), 0, piece.length);
  }
}

/** A copy that the garbage collector owns: nothing to count. */
function heapStorage(source: Uint8Array): Storage {
  const bytes = Buffer.from(source);
  return { bytes, hold: (): void => {}, release: (): void => {} };
}

import { copyBytes } from "../memory/copy-bytes.ts";
import type { Page } from "../pool/page.ts";
import type { JumboPool } from "../pool/pool.ts";
import { Mbuf } from "./mbuf.ts";

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
  static readonly #fillers = new WeakMap<JumboPool, PageFiller>();
  readonly #pool: JumboPool;
  #page: Page | null = null;
  #offset = 0;

  private constructor(pool: JumboPool) {
    this.#pool = pool;
  }

  /** The filler of `pool`: one for all its receivers. */
  static of(pool: JumboPool): PageFiller {
    let filler = PageFiller.#fillers.get(pool);
    if (filler === undefined) PageFiller.#fillers.set(pool, (filler = new PageFiller(pool)));
    return filler;
  }

  /** Copies `piece`, at most a page of bytes, into an mbuf, borrowed; null, with nothing changed, when there is no page. */
  copy(piece: Uint8Array): Mbuf | null {
    const page = this.#pageFor(piece.length);
    if (page === null) return null;
    const offset = this.#offset;
    copyBytes(piece, page.bytes, offset);
    this.#offset += piece.length;
    return new Mbuf(page, offset, piece.length);
  }

  /** Takes over what is left of `page` from `offset` on, if that is more than there is. The caller keeps its own hold. */
  adopt(page: Page, offset: number): void {
    if (this.#rest() >= this.#pool.pageSizeBytes - offset) return;
    this.#page = page;
    this.#offset = offset;
  }

  /** The page for `lengthBytes` more, with a hold for the mbuf; null when the pool is exhausted. */
  #pageFor(lengthBytes: number): Page | null {
    // Asked, too: a stale page has a rest of nothing, which an empty piece would fit.
    if (this.#page?.isReleased === false && this.#rest() >= lengthBytes) return this.#page.hold();
    this.#page = this.#pool.alloc();
    this.#offset = 0;
    return this.#page;
  }

  #rest(): number {
    return this.#page === null || this.#page.isReleased ? 0 : this.#pool.pageSizeBytes - this.#offset;
  }
}

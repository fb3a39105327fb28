import type { Page } from "../pool/page.ts";
import type { JumboPool } from "../pool/pool.ts";

/** Of a slot, in bytes: what fits an Ethernet frame, with room. */
export const SLOT_BYTES = 2048;

/**
 * Pages cut into slots, for short messages to lie side by side: in order, each used once as long as somebody holds a part of its page.
 *
 *     page A  [used|used|used|used]   page B  [used|next|    |    ]   page C …
 *                                                   ▲ row 0, row 1, …
 *
 * When nobody else holds any of them it begins again with the first slot, which is the warmest. After {@link disarm} it holds nothing; it
 * only remembers a page that was not full. If others still hold that page it goes on there, so that messages which come one at a
 * time, and are kept, share a page too.
 */
export class SlotPages {
  readonly #pool: JumboPool;
  readonly #slotsPerPage: number;
  readonly #pages: Page[] = [];
  /** The slot of row 0, counted from the first page. */
  #next = 0;
  /** Rows that the last read filled. */
  #used = 0;
  #remembered: Page | null = null;
  #rememberedNext = 0;

  constructor(pool: JumboPool) {
    this.#pool = pool;
    this.#slotsPerPage = pool.pageSizeBytes / SLOT_BYTES;
  }

  /** Slots for `rows` rows. @returns how many there are; fewer, when there are no pages */
  arm(rows: number): number {
    this.#advance();
    if (this.#pages.length === 0) this.#recall();
    const slots = this.#slotsPerPage;
    while (this.#pages.length * slots < this.#next + rows) {
      const page = this.#pool.alloc();
      if (page === null) break;
      this.#pages.push(page);
    }
    return Math.min(rows, this.#pages.length * slots - this.#next);
  }

  /** The page that the slot of an armed row is in. */
  pageOf(row: number): Page {
    return this.#pages[Math.floor((this.#next + row) / this.#slotsPerPage)]!;
  }

  /** Where in that page it begins. */
  offsetOf(row: number): number {
    return ((this.#next + row) % this.#slotsPerPage) * SLOT_BYTES;
  }

  /** The slots of the first `rows` rows have been written to. */
  use(rows: number): void {
    this.#used = rows;
  }

  disarm(): void {
    this.#advance();
    const page = this.#pages[0];
    this.#remembered = page !== undefined && this.#next > 0 && page.holdCount > 1 ? page : null;
    this.#rememberedNext = this.#next;
    while (this.#pages.length > 0) this.#letGo(this.#pages.pop()!);
    this.#next = 0;
  }

  /** Past what was used: to the start if it is all ours again, and else past the pages that are full. */
  #advance(): void {
    this.#next += this.#used;
    this.#used = 0;
    if (this.#next === 0) return;
    if (this.#pages.every((page) => page.holdCount === 1)) {
      this.#next = 0;
      return;
    }
    while (this.#next >= this.#slotsPerPage) {
      this.#letGo(this.#pages.shift()!);
      this.#next -= this.#slotsPerPage;
    }
  }

  #recall(): void {
    const page = this.#remembered;
    this.#remembered = null;
    if (page === null || page.isReleased) return; // its last holder has let it go, and it may be somebody else's now
    this.#pages.push(page.hold());
    this.#next = this.#rememberedNext;
  }

  #letGo(page: Page): void {
    if (!page.isReleased) page.release(); // a pool closed by force has taken it from us
  }
}

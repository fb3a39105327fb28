import { JumboError } from "../errors.ts";
import * as layout from "../memory/layout.ts";
import type { PageHome } from "./page-home.ts";
import type { StolenPage } from "./stolen-page.ts";

const { NIL, HOLDS_MAX } = layout; // constants of this module: see page-table.ts

/**
 * One page of a pool, in your hands: a handle on one tenancy of it.
 *
 * It is yours from `alloc` until the last `release`. After that every use of the handle throws
 * `ERR_JUMBO_PAGE_RELEASED`, also when the same memory already belongs to somebody else.
 * A `Buffer` you took from {@link bytes} cannot be revoked: do not use it after the release (audit mode finds who does).
 *
 *     alloc ─▶ 1 ──hold──▶ 2 ──release──▶ 1 ──release──▶ 0 = back in the pool, handle stale
 *
 * ```ts
 * using page = pool.alloc();          // released at the end of the block
 * page?.bytes.write("hello");
 * ```
 */
export class Page {
  /** The page's name in its pool: its "physical address" in pages. The same on every thread, never reused for another page. */
  readonly number: number;
  readonly #home: PageHome;
  /** −1 from the last release through this handle on: matches no generation, however often those wrap around. */
  #generation: number;

  /** @internal Pools make pages. */
  constructor(home: PageHome, number: number) {
    this.number = number;
    this.#home = home;
    this.#generation = home.table.generationOf(number);
  }

  /**
   * The page's bytes, exactly `pageSizeBytes` of them, starting at a page boundary. No copy, and no allocation after
   * the page's first use: one Buffer serves every tenant of the page. They hold what the last tenant left (see `zeroOnRelease`).
   * @throws JumboError `ERR_JUMBO_PAGE_RELEASED`
   */
  get bytes(): Buffer {
    const { arena, table } = this.#home;
    if (!table.isCurrent(this.number, this.#generation)) throw this.#released();
    return arena.bytesOf(this.number);
  }

  /** True from the last release (or the steal) on, when every other use throws. */
  get isReleased(): boolean {
    return !this.#home.table.isCurrent(this.number, this.#generation);
  }

  /** How many holds are on the page; 0 once it is released. */
  get holdCount(): number {
    return this.isReleased ? 0 : this.#home.table.holdsOf(this.number);
  }

  /**
   * One hold more: the page stays until one `release` more.
   * @returns this page
   * @throws JumboError `ERR_JUMBO_PAGE_RELEASED`, `ERR_JUMBO_HOLD_MAX` (2^31 − 1 holds)
   */
  hold(): this {
    const { table } = this.#home;
    if (!table.isCurrent(this.number, this.#generation)) throw this.#released();
    if (!table.hold(this.number)) {
      throw new JumboError(
        "ERR_JUMBO_HOLD_MAX",
        `page ${this.number} has ${HOLDS_MAX} holds already: somebody holds in a loop`,
      );
    }
    return this;
  }

  /**
   * One hold less; the last one gives the page back to its pool.
   * @throws JumboError `ERR_JUMBO_PAGE_RELEASED` when it has been given back before; the pool is unchanged
   */
  release(): void {
    const home = this.#home;
    const holdsLeft = home.table.drop(this.number, this.#generation);
    if (holdsLeft > 0) return;
    if (holdsLeft < 0) throw this.#released();
    this.#generation = NIL;
    if (home.isPlain) home.table.putFree(this.number);
    else home.returned(this);
  }

  /** Same as {@link release}, but nothing when the page was released or stolen inside the block: for `using`. */
  [Symbol.dispose](): void {
    if (!this.isReleased) this.release();
  }

  /**
   * Takes the page out of its pool for good: it keeps its bytes and belongs to you, and the pool may hand out a fresh
   * page in its place at once. This handle is stale afterwards; the stolen page is the new one. No copy.
   * @throws JumboError `ERR_JUMBO_PAGE_RELEASED`; `ERR_JUMBO_PAGE_SHARED` when somebody else holds it too;
   *   `ERR_JUMBO_STOLEN_MAX` when `stolenMax` pages are out this way. Nothing is changed then.
   */
  steal(): StolenPage {
    const { table } = this.#home;
    if (!table.isCurrent(this.number, this.#generation)) throw this.#released();
    const holds = table.holdsOf(this.number);
    if (holds !== 1) {
      throw new JumboError(
        "ERR_JUMBO_PAGE_SHARED",
        `page ${this.number} has ${holds} holds; only its sole holder can steal it`,
      );
    }
    const stolen = this.#home.steal(this.number, this.#generation);
    this.#generation = NIL;
    return stolen;
  }

  /**
   * A copy of the bytes in memory of your own, `start` (inclusive) to `end` (exclusive) in bytes: for what outlives the page,
   * and for the APIs that refuse shared memory (`crypto.subtle`, byte streams, `fetch` bodies, transfer lists).
   * @throws JumboError `ERR_JUMBO_PAGE_RELEASED`
   */
  copy(start?: number, end?: number): Buffer<ArrayBuffer> {
    const source = this.bytes.subarray(start, end);
    const target = Buffer.allocUnsafeSlow(source.length);
    source.copy(target);
    return target;
  }

  #released(): JumboError {
    return new JumboError(
      "ERR_JUMBO_PAGE_RELEASED",
      `page ${this.number} has been released: its memory may belong to somebody else; hold() it for as long as you need it`,
    );
  }
}

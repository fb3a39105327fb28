import { JumboError } from "../errors.ts";
import type { Arena } from "../memory/arena.ts";
import { NIL } from "../memory/layout.ts";

/** What a stolen page needs of the pool it left. Internal. */
export type StolenHome = {
  readonly arena: Arena;
  /** Gives the page back to the arena; false when it was given back before. */
  readonly giveBack: (page: StolenPage, generation: number) => boolean;
};

/** Keeps a stolen page alive for as long as anybody sees its memory: the views' SharedArrayBuffer ─▶ its page. */
const pageBehind = new WeakMap<ArrayBufferLike, StolenPage>();

/**
 * A page that left its pool: the bytes are yours until you give them back with {@link release} (or `using`).
 *
 * One that nobody can reach any more, neither through this object nor through any view of its {@link bytes},
 * goes back to the arena by itself and is counted (`stolenCollected`). A view posted to another thread
 * does not count as reaching it: keep this object for as long as that thread looks.
 *
 *     StolenPage ──▶ bytes ──▶ SharedArrayBuffer (this page's own object) ◀── every subarray of bytes
 *          ▲                             │
 *          └──────── pageBehind ─────────┘
 */
export class StolenPage {
  /** The page number it had in its pool; nobody else gets it while it is stolen. */
  readonly number: number;
  readonly #home: StolenHome;
  #generation: number;
  #bytes: Buffer | null = null;

  /** @internal Made by `Page.steal()`. */
  constructor(home: StolenHome, number: number, generation: number) {
    this.#home = home;
    this.number = number;
    this.#generation = generation;
  }

  /**
   * The page's bytes; no copy. Views derived from them keep the page alive; views taken before the steal do not.
   * @throws JumboError `ERR_JUMBO_PAGE_RELEASED`
   */
  get bytes(): Buffer {
    if (this.isReleased) throw this.#released();
    return (this.#bytes ??= this.#makeBytes());
  }

  get isReleased(): boolean {
    return this.#generation === NIL;
  }

  /**
   * Gives the page back to the arena it came from, also after its pool was closed. Do not use views of it afterwards.
   * @throws JumboError `ERR_JUMBO_PAGE_RELEASED` when it was given back before
   */
  release(): void {
    if (this.isReleased || !this.#home.giveBack(this, this.#generation)) throw this.#released();
    this.#generation = NIL;
    this.#bytes = null;
  }

  /** Same as {@link release}, but nothing when it was given back inside the block: for `using`. */
  [Symbol.dispose](): void {
    if (!this.isReleased) this.release();
  }

  #makeBytes(): Buffer {
    const bytes = this.#home.arena.privateBytesOf(this.number);
    pageBehind.set(bytes.buffer, this);
    return bytes;
  }

  #released(): JumboError {
    return new JumboError("ERR_JUMBO_PAGE_RELEASED", `stolen page ${this.number} has been given back`);
  }
}

import { JumboError } from "../errors.ts";
import type { Arena } from "../memory/arena.ts";
import { COUNTER } from "../memory/layout.ts";
import { loadMemoryAdvice } from "../os/memory-advice.ts";
import type { PageTable } from "./page-table.ts";
import { StolenPage } from "./stolen-page.ts";
import type { StolenHome } from "./stolen-page.ts";

type Ownership = { readonly number: number; readonly generation: number };

/**
 * The pages that left the pool: out by {@link steal}, back into the arena when their owner gives them back,
 * or when the garbage collector finds that nobody can reach them. Thread: owner only.
 */
export class StolenPages {
  readonly #arena: Arena;
  readonly #table: PageTable;
  readonly #count: (path: number) => void;
  readonly #home: StolenHome;
  readonly #collected: FinalizationRegistry<Ownership>;

  constructor(arena: Arena, table: PageTable, count: (path: number) => void) {
    this.#arena = arena;
    this.#table = table;
    this.#count = count;
    this.#home = {
      arena,
      giveBack: (page, generation): boolean => {
        this.#collected.unregister(page);
        return this.#giveBack({ number: page.number, generation }, COUNTER.stolenReturned);
      },
    };
    this.#collected = new FinalizationRegistry((owned) => void this.#giveBack(owned, COUNTER.stolenCollected));
  }

  /** @throws JumboError `ERR_JUMBO_STOLEN_MAX`, with nothing changed */
  steal(number: number, generation: number): StolenPage {
    if (!this.#table.canSteal) {
      const text = `${this.#table.stolen} pages are stolen already, the most that stolenMax allows: give some back, or copy() this one`;
      throw new JumboError("ERR_JUMBO_STOLEN_MAX", text);
    }
    const owned = { number, generation: this.#table.steal(number, generation) };
    this.#count(COUNTER.stolen);
    const page = new StolenPage(this.#home, number, owned.generation);
    this.#collected.register(page, owned, page);
    return page;
  }

  #giveBack(owned: Ownership, path: number): boolean {
    if (!this.#table.giveBack(owned.number, owned.generation)) return false;
    this.#count(path);
    const { advice } = loadMemoryAdvice();
    const range = this.#arena.rangeOf(owned.number, 1);
    if (advice?.discard(range) === true) return true;
    range.fill(0); // as if it had gone: whoever gets an uncommitted page next finds zeros, not the last owner's bytes
    this.#count(COUNTER.trimKept);
    return true;
  }
}

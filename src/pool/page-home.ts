import type { Arena } from "../memory/arena.ts";
import type { Audit } from "./audit.ts";
import type { PageTable } from "./page-table.ts";
import type { Page } from "./page.ts";
import type { StolenPage } from "./stolen-page.ts";
import type { StolenPages } from "./stolen-pages.ts";
import type { Waiters } from "./waiters.ts";
import type { Watermarks } from "./watermarks.ts";

/** The parts of a pool that have a say when a page comes back. */
export type PageHomeParts = {
  readonly arena: Arena;
  readonly table: PageTable;
  readonly audit: Audit | null;
  readonly stolen: StolenPages;
  readonly waiters: Waiters;
  readonly watermarks: Watermarks;
  readonly zeroOnRelease: boolean;
  /** A page for somebody who waited; null when there is none. */
  readonly takeFor: (origin: Error | null) => Page | null;
};

/**
 * Where pages come home to: what becomes of one that lost its last hold, and who hears of it.
 *
 *     last release ──isPlain──▶ free list
 *          └──else──▶ returned: poisoned and quarantined, or zeroed and free ──▶ relief ──▶ waiters ──▶ isPlain?
 *     steal ──▶ its new owner ─────────────────────────────────────────────────────┘
 *
 * Thread: owner only.
 */
export class PageHome {
  readonly arena: Arena;
  readonly table: PageTable;
  /**
   * True while a page that comes back only has to go on the free list, which `Page` then does by itself: no audit, no
   * zeroing, no pressure, nobody waits. Whoever begins one of these calls {@link attend}.
   */
  isPlain: boolean;
  readonly #parts: PageHomeParts;

  constructor(parts: PageHomeParts) {
    this.arena = parts.arena;
    this.table = parts.table;
    this.#parts = parts;
    this.isPlain = this.#canBePlain();
  }

  /** From now on a page that comes back matters to somebody. */
  attend(): void {
    this.isPlain = false;
  }

  /** Puts back a page that has lost its last hold, and tells who waits. */
  returned(page: Page): void {
    const { arena, audit, table, zeroOnRelease } = this.#parts;
    if (audit?.returned(page) === true) {
      table.putQuarantine(page.number);
      if (table.quarantined > audit.quarantinePages) table.endQuarantine();
    } else {
      if (zeroOnRelease) arena.bytesOf(page.number).fill(0);
      table.putFree(page.number);
    }
    this.#gave();
  }

  /** @throws JumboError `ERR_JUMBO_STOLEN_MAX`, with nothing changed */
  steal(number: number, generation: number): StolenPage {
    const stolen = this.#parts.stolen.steal(number, generation);
    this.#parts.audit?.forget(number);
    this.#gave();
    return stolen;
  }

  /** There is one page more to be had. */
  #gave(): void {
    const { table, waiters, watermarks, takeFor } = this.#parts;
    watermarks.gave(table.inUse);
    if (waiters.count > 0) waiters.serve(takeFor);
    this.isPlain = this.#canBePlain();
  }

  #canBePlain(): boolean {
    const { audit, waiters, watermarks, zeroOnRelease } = this.#parts;
    return audit === null && !zeroOnRelease && waiters.count === 0 && !watermarks.isUnderPressure;
  }
}

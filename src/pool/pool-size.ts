import type { Arena } from "../memory/arena.ts";
import type { ControlBlock } from "../memory/control-block.ts";
import { COUNTER } from "../memory/layout.ts";
import { loadMemoryAdvice } from "../os/memory-advice.ts";
import type { Audit } from "./audit.ts";
import { growFree, growthStep } from "./growth.ts";
import type { PoolSettings } from "./options.ts";
import type { PageTable } from "./page-table.ts";
import { IdleTimer, trimFree } from "./trimming.ts";
import type { Watermarks } from "./watermarks.ts";

/** The parts of a pool that decide how much memory it has. */
export type PoolSizeParts = {
  readonly settings: PoolSettings;
  readonly block: ControlBlock;
  readonly arena: Arena;
  readonly table: PageTable;
  readonly watermarks: Watermarks;
  readonly audit: Audit | null;
};

/**
 * How many of the arena's pages are the pool's: more when they are needed, fewer when nobody needed them for a while.
 *
 *     uncommitted ──grow, when the free list is empty──▶ free
 *          ▲                                               │
 *          └──trim, coldest first: at once, or when idle ──┘        never below `pagesInitial` by itself
 *
 * Thread: owner only.
 */
export class PoolSize {
  readonly #parts: PoolSizeParts;
  readonly #idle: IdleTimer<PoolSize>;
  /** Not an arrow in the constructor: its scope has `this`, and the timer would keep the pool alive. */
  static readonly #trimIdleOf = (size: PoolSize): boolean => size.#trimIdle();
  #inUsePeak = 0;

  constructor(parts: PoolSizeParts) {
    this.#parts = parts;
    this.#idle = new IdleTimer<PoolSize>(this, parts.settings.idleTrimMs, PoolSize.#trimIdleOf);
    this.#grow(parts.settings.pagesInitial);
  }

  /** The most pages that were out at a time. */
  get inUsePeak(): number {
    return (this.#inUsePeak = Math.max(this.#inUsePeak, this.#parts.watermarks.peak));
  }

  /** Makes the free list non-empty if there is any way to. */
  refill(): boolean {
    return this.grow() || this.#parts.table.endQuarantine();
  }

  /** Adds free pages, while there may be more. */
  grow(): boolean {
    const { settings, table } = this.#parts;
    return this.#grow(growthStep(settings.pageSizeBytes, table.pooled));
  }

  /** Gives the memory of the `count` coldest free pages back, where the system lets us. How many. */
  trim(count: number): number {
    const { arena, table, audit } = this.#parts;
    const { advice } = loadMemoryAdvice();
    const trimmed = advice === null ? 0 : trimFree(arena, table, advice, count, audit);
    this.#add(COUNTER.trimmed, trimmed);
    this.#add(COUNTER.trimKept, count - trimmed);
    return trimmed;
  }

  /** Ends what happens by itself. */
  stop(): void {
    this.#idle.stop();
  }

  #grow(count: number): boolean {
    const { arena, table, settings } = this.#parts;
    const added = growFree(arena, table, count);
    this.#add(COUNTER.grown, added);
    if (table.growable > 0 && added < count) this.#add(COUNTER.growFailed, 1);
    if (table.pooled > settings.pagesInitial) this.#idle.start();
    return added > 0;
  }

  /** Trims what nobody needed since the last time. True while there may be more to trim later. */
  #trimIdle(): boolean {
    const { table, watermarks, settings } = this.#parts;
    const needed = Math.max(watermarks.peak, settings.pagesInitial);
    this.#inUsePeak = this.inUsePeak;
    watermarks.restartPeak(table.inUse);
    const surplus = Math.min(table.free - table.quarantined, table.pooled - needed);
    if (surplus > 0 && this.trim(surplus) === 0) return false; // the system does not let us
    return table.pooled > settings.pagesInitial;
  }

  #add(path: number, count: number): void {
    this.#parts.block.counters[path]! += count;
  }
}

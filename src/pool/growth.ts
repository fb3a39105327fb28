import type { Arena } from "../memory/arena.ts";
import type { PageTable } from "./page-table.ts";

/** The least that one growth adds, in bytes: growing costs microseconds, so it is done for several pages at once. */
const STEP_BYTES_MIN = 262_144;

/** How many pages to grow by: half of what is there, so that n pages cost O(log n) growths. */
export function growthStep(pageSizeBytes: number, pages: number): number {
  return Math.max(1, STEP_BYTES_MIN / pageSizeBytes, pages >>> 1);
}

/**
 * Adds up to `count` free pages: first those whose memory was given back, then the arena's next ones, committed here.
 * In place: no page moves, no view is invalidated.
 * @returns how many were added; fewer than `count` at `pagesMax`, or when the system refuses memory
 */
export function growFree(arena: Arena, table: PageTable, count: number): number {
  const wanted = Math.min(count, table.growable);
  arena.commit(Math.min(arena.pages, table.frontier + wanted)); // all at once if the system lets us; else page by page below
  let added = 0;
  while (added < wanted && arena.commit(table.nextUncommitted() + 1)) {
    table.addUncommitted();
    added++;
  }
  return added;
}

import { NIL } from "../memory/layout.ts";
import type { PageTable } from "./page-table.ts";

/** How many runs' worth of pages are sorted at a time: more would be colder, fewer would split what was released together. */
const RUNS_SORTED = 8;

/** Pages that lie side by side. */
export type NumberRange = { readonly first: number; readonly last: number };

/**
 * Takes up to `count` pages that lie side by side, at least one; null when no page is free.
 *
 *     free:    head ──▶ 7 ──▶ 2 ──▶ 6 ──▶ 3 ──▶ …        as they were released
 *     sorted:  head ──▶ 2 ──▶ 3 ──▶ 6 ──▶ 7 ──▶ NIL      the hottest of them, when the last of these are gone
 *
 * Taken from the sorted ones until they are used up, and not from those that were released since: so pages that went out together, and come back
 * together, stay together, and a pool that is shuffled by single pages is not made worse. Sorting costs each page O(log count), once.
 */
export function takeRun(table: PageTable, count: number): NumberRange | null {
  let first = table.takeLowest();
  if (first === NIL) {
    sortFree(table, count * RUNS_SORTED);
    first = table.takeLowest();
  }
  if (first === NIL) return null;
  let last = first;
  while (last - first + 1 < count && table.takeNext(last)) last++;
  return { first, last };
}

function sortFree(table: PageTable, count: number): void {
  const numbers: number[] = [];
  for (let number = NIL; numbers.length < count && (number = table.unlinkFree()) !== NIL;) numbers.push(number);
  for (const number of numbers.sort((a, b) => b - a)) table.putLowest(number);
}

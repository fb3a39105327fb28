import type { Arena } from "../memory/arena.ts";
import { NIL } from "../memory/layout.ts";
import type { MemoryAdvice } from "../os/memory-advice.ts";
import type { Audit } from "./audit.ts";
import type { PageTable } from "./page-table.ts";

/**
 * Gives the memory of the `count` coldest free pages back to the system; they become uncommitted.
 *
 * The free list is LIFO, so the coldest are at its end: it is taken apart whole, and what stays is put back in order.
 * Adjacent pages go back in one call. A run that the system refuses stays free.
 * O(free · log count), for an idle moment. Thread: owner only.
 *
 *     head ──▶ hot ──▶ warm ──▶ cold ──▶ cold ──▶ NIL        count = 2
 *     head ──▶ hot ──▶ warm ──▶ NIL                           uncommitted: cold, cold
 *
 * @returns how many pages went back
 */
export function trimFree(
  arena: Arena,
  table: PageTable,
  advice: MemoryAdvice,
  count: number,
  audit: Audit | null,
): number {
  const pages: number[] = [];
  for (let number = table.unlinkFree(); number !== NIL; number = table.unlinkFree()) pages.push(number);
  const cold = pages.splice(Math.max(0, pages.length - count)).sort((a, b) => a - b);

  for (const number of cold) audit?.endPoison(number);

  let trimmed = 0;
  for (let start = 0; start < cold.length;) {
    const length = runLength(cold, start);
    const isGone = advice.discard(arena.rangeOf(cold[start] ?? NIL, length));
    for (const number of cold.slice(start, start + length)) {
      if (isGone) table.retireFree(number);
      else table.putFree(number);
    }
    if (isGone) trimmed += length;
    start += length;
  }
  for (const number of pages.reverse()) table.putFree(number); // the hottest last, so that it is the head again
  return trimmed;
}

/** How many consecutive page numbers stand at `start` of the sorted `numbers`. */
function runLength(numbers: readonly number[], start: number): number {
  let length = 1;
  while (numbers[start + length] === (numbers[start] ?? NIL) + length) length++;
  return length;
}

/**
 * Calls `trim` every `intervalMs` for as long as it returns true; then waits for {@link IdleTimer.start} again.
 *
 * The timer neither keeps the process alive (it is unref'd) nor its owner (which it knows weakly).
 */
export class IdleTimer<Owner extends object> {
  readonly #owner: WeakRef<Owner>;
  readonly #intervalMs: number;
  readonly #trim: (owner: Owner) => boolean;
  #timer: NodeJS.Timeout | null = null;

  constructor(owner: Owner, intervalMs: number, trim: (owner: Owner) => boolean) {
    this.#owner = new WeakRef(owner);
    this.#intervalMs = intervalMs;
    this.#trim = trim;
  }

  /** Starts the timer unless it runs already, or `intervalMs` is 0. */
  start(): void {
    if (this.#timer !== null || this.#intervalMs === 0) return;
    this.#timer = setInterval(() => this.#tick(), this.#intervalMs).unref();
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  #tick(): void {
    const owner = this.#owner.deref();
    if (owner === undefined || !this.#trim(owner)) this.stop();
  }
}

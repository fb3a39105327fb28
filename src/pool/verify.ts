import { invariant } from "../invariant.ts";
import type { ControlBlock } from "../memory/control-block.ts";
import {
  COUNTER,
  NIL,
  PAGE_FIRST_WORD,
  PAGE_HOLDS,
  PAGE_NEXT,
  PAGE_STATE,
  PAGE_WORDS,
  STATE,
  WORD,
} from "../memory/layout.ts";

/**
 * Walks every list and every page and checks every law of `page-table.ts`, reading only the control block.
 *
 * O(arena pages). For tests, and for a process that wants to know before it goes on.
 * @throws InvariantError naming the law that is broken
 */
export function verifyPages({ words, counters }: ControlBlock): void {
  const word = (index: number): number => words[index] ?? Number.NaN;
  const arenaPages = word(WORD.arenaPages);
  const frontier = word(WORD.frontier);
  const listOf = new Uint8Array(arenaPages);
  invariant(frontier >= 0 && frontier <= arenaPages, "the frontier lies in the arena");

  /** Marks the pages of a list; the limit is what makes a cycle a finding and not a hang. */
  const walk = (list: number, head: number, state: number): { count: number; last: number } => {
    let count = 0;
    let last = NIL;
    for (let number = word(head); number !== NIL; number = word(PAGE_FIRST_WORD + number * PAGE_WORDS + PAGE_NEXT)) {
      invariant(number >= 0 && number < frontier, `list ${list} names page ${number}, which is not below the frontier`);
      invariant(listOf[number] === 0, `page ${number} is on list ${list} and on list ${listOf[number]}`);
      invariant(
        word(PAGE_FIRST_WORD + number * PAGE_WORDS + PAGE_STATE) === state,
        `page ${number} on list ${list} has its state`,
      );
      listOf[number] = list;
      last = number;
      count++;
    }
    return { count, last };
  };

  const free = walk(1, WORD.freeHead, STATE.pooled).count;
  const { count: quarantined, last } = walk(2, WORD.quarantineHead, STATE.pooled);
  const retired = walk(3, WORD.retiredHead, STATE.uncommitted).count;
  invariant(last === word(WORD.quarantineTail), "the quarantine's tail is its last page");
  invariant(quarantined === word(WORD.quarantined), "the quarantine count is the quarantine's length");
  invariant(retired === word(WORD.retired), "the retired count is the retired list's length");

  const inUse = (counters[COUNTER.taken] ?? 0) - (counters[COUNTER.returned] ?? 0);
  let uncommitted = 0;
  let pooled = 0;
  let stolen = 0;
  let out = 0;
  for (let number = 0; number < arenaPages; number++) {
    const page = PAGE_FIRST_WORD + number * PAGE_WORDS;
    const state = word(page + PAGE_STATE);
    const holds = word(page + PAGE_HOLDS);
    invariant(holds >= 0, `page ${number}: the hold count is never negative`);
    if (state === STATE.uncommitted) uncommitted++;
    else if (state === STATE.pooled) pooled++;
    else if (state === STATE.stolen) stolen++;
    else invariant(false, `page ${number} is in one of the states`);
    const isOut = state === STATE.stolen || (state === STATE.pooled && listOf[number] === 0);
    if (isOut && state === STATE.pooled) out++;
    invariant(isOut === holds > 0, `page ${number}: hold count 0 exactly when it is not out`);
    invariant(
      (listOf[number] !== 0) === (!isOut && number < frontier),
      `page ${number} is on one list, above the frontier, or out`,
    );
  }
  invariant(uncommitted + pooled + stolen === arenaPages, "uncommitted + free + in use + stolen = arena pages");
  invariant(pooled === word(WORD.pooled) && stolen === word(WORD.stolen), "counts are the pages' states");
  invariant(free + quarantined + inUse === pooled, "free + in use = pooled");
  invariant(out === inUse, "in use = taken − returned");
  invariant(pooled <= word(WORD.pagesMax), "free + in use ≤ pagesMax");
  invariant(stolen <= word(WORD.stolenMax), "stolen ≤ stolenMax");
}

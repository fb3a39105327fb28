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
  invariant(frontier >= 0 && frontier <= arenaPages, "the frontier lies in the arena");

  const listOf = new Uint8Array(arenaPages);
  const free = walkList(words, listOf, { list: 1, head: word(WORD.freeHead), state: STATE.pooled });
  const quarantine = walkList(words, listOf, { list: 2, head: word(WORD.quarantineHead), state: STATE.pooled });
  const retired = walkList(words, listOf, { list: 3, head: word(WORD.retiredHead), state: STATE.uncommitted });
  const sorted = walkList(words, listOf, { list: 4, head: word(WORD.sortedHead), state: STATE.pooled });
  invariant(quarantine.last === word(WORD.quarantineTail), "the quarantine's tail is its last page");
  invariant(quarantine.count === word(WORD.quarantined), "the quarantine count is the quarantine's length");
  invariant(retired.count === word(WORD.retired), "the retired count is the retired list's length");

  const { uncommitted, pooled, stolen, out } = tallyPages(words, listOf);
  const inUse = word(WORD.inUse);
  const taken = counters[COUNTER.taken] ?? Number.NaN;
  invariant(uncommitted + pooled + stolen === arenaPages, "uncommitted + free + in use + stolen = arena pages");
  invariant(pooled === word(WORD.pooled) && stolen === word(WORD.stolen), "counts are the pages' states");
  invariant(free.count + sorted.count + quarantine.count + inUse === pooled, "free + in use = pooled");
  invariant(out === inUse, "in use is what is out");
  invariant(inUse <= taken, "in use is never more than were taken: returned = taken − in use ≥ 0");
  invariant(pooled <= word(WORD.pagesMax), "free + in use ≤ pagesMax");
  invariant(stolen <= word(WORD.stolenMax), "stolen ≤ stolenMax");
}

/** Marks the pages of one list. A page that is marked already ends the walk, so a cycle is a finding and not a hang. */
function walkList(
  words: Int32Array,
  listOf: Uint8Array,
  { list, head, state }: { list: number; head: number; state: number },
): { count: number; last: number } {
  const frontier = words[WORD.frontier] ?? 0;
  let count = 0;
  let last = NIL;
  for (let number = head; number !== NIL; count++) {
    invariant(number >= 0 && number < frontier, `list ${list} names page ${number}, which is not below the frontier`);
    invariant(listOf[number] === 0, `page ${number} is on list ${list} and on list ${listOf[number]}`);
    const page = PAGE_FIRST_WORD + number * PAGE_WORDS;
    invariant(words[page + PAGE_STATE] === state, `page ${number} on list ${list} has its state`);
    listOf[number] = list;
    last = number;
    number = words[page + PAGE_NEXT] ?? NIL;
  }
  return { count, last };
}

/** Counts the pages by state, and those of the pool that are out, checking each page for itself. */
function tallyPages(
  words: Int32Array,
  listOf: Uint8Array,
): { uncommitted: number; pooled: number; stolen: number; out: number } {
  const frontier = words[WORD.frontier] ?? 0;
  const tally = { uncommitted: 0, pooled: 0, stolen: 0, out: 0 };
  for (let number = 0; number < listOf.length; number++) {
    const page = PAGE_FIRST_WORD + number * PAGE_WORDS;
    const state = words[page + PAGE_STATE];
    const holds = words[page + PAGE_HOLDS] ?? 0;
    const isListed = listOf[number] !== 0;
    invariant(holds >= 0, `page ${number}: the hold count is never negative`);
    if (state === STATE.uncommitted) tally.uncommitted++;
    else if (state === STATE.pooled) tally.pooled++;
    else if (state === STATE.stolen) tally.stolen++;
    else invariant(false, `page ${number} is in one of the states`);
    const isInUse = state === STATE.pooled && !isListed;
    if (isInUse) tally.out++;
    const isOut = isInUse || state === STATE.stolen;
    invariant(isOut === holds > 0, `page ${number}: hold count 0 exactly when it is not out`);
    invariant(isListed === (!isOut && number < frontier), `page ${number} is on one list, above the frontier, or out`);
  }
  return tally;
}

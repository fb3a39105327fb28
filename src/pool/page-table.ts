import { invariant } from "../invariant.ts";
import type { ControlBlock } from "../memory/control-block.ts";
import {
  COUNTER,
  GENERATION_MASK,
  HOLDS_MAX,
  NIL,
  PAGE_FIRST_WORD,
  PAGE_GENERATION,
  PAGE_HOLDS,
  PAGE_NEXT,
  PAGE_STATE,
  PAGE_WORDS,
  STATE,
  WORD,
} from "../memory/layout.ts";

/** What {@link PageTable.drop} found. */
export const DROP = { stale: 0, held: 1, last: 2 } as const;

/**
 * Who has which page: states, hold counts, generations and lists, and nothing about memory or policy.
 *
 * Laws, true between any two calls (`verify.ts` walks and checks them):
 *
 *     uncommitted + free + in use + stolen = arena pages         (uncommitted = what is left)
 *     free + in use = pooled ≤ pagesMax      stolen ≤ stolenMax      in use = taken − returned ≥ 0
 *     hold count 0 exactly when the page is not out
 *     a page is on exactly one list (free, quarantine, retired), above the frontier, or out
 *
 *     free:        head ──▶ page 7 ──▶ page 2 ──▶ NIL            LIFO: the warmest page goes out first
 *     retired:     head ──▶ page 9 ──▶ NIL                       LIFO: below the frontier, memory given back
 *     quarantine:  head ──▶ page 4 ──▶ page 3 ──▶ NIL ◀── tail   FIFO: free, but last in line (audit)
 *
 * A method that is refused changes nothing. Every method is O(1). Thread: owner only.
 */
export class PageTable {
  readonly #words: Int32Array;
  readonly #counters: Float64Array;

  constructor(block: ControlBlock) {
    this.#words = block.words;
    this.#counters = block.counters;
  }

  get inUse(): number {
    return this.#counters[COUNTER.taken]! - this.#counters[COUNTER.returned]!;
  }
  get free(): number {
    return this.#word(WORD.pooled) - this.inUse;
  }
  /** Free and in use. */
  get pooled(): number {
    return this.#word(WORD.pooled);
  }
  get quarantined(): number {
    return this.#word(WORD.quarantined);
  }
  get frontier(): number {
    return this.#word(WORD.frontier);
  }
  /** How many pages may still be added before free + in use = pagesMax. */
  get growable(): number {
    return this.#word(WORD.pagesMax) - this.#word(WORD.pooled);
  }
  get stolen(): number {
    return this.#word(WORD.stolen);
  }
  get canSteal(): boolean {
    return this.stolen < this.#word(WORD.stolenMax);
  }

  /** True while `generation` is the present tenancy of page `number`. */
  isCurrent(number: number, generation: number): boolean {
    return this.#words[PAGE_FIRST_WORD + number * PAGE_WORDS + PAGE_GENERATION] === generation;
  }

  generationOf(number: number): number {
    return this.#words[PAGE_FIRST_WORD + number * PAGE_WORDS + PAGE_GENERATION]!;
  }

  holdsOf(number: number): number {
    return this.#words[PAGE_FIRST_WORD + number * PAGE_WORDS + PAGE_HOLDS]!;
  }

  isInUse(number: number): boolean {
    return this.#word(PAGE_FIRST_WORD + number * PAGE_WORDS + PAGE_STATE) === STATE.pooled && this.holdsOf(number) > 0;
  }

  /** The most recently freed page, now in use with one hold; NIL when the free list is empty. */
  take(): number {
    const words = this.#words;
    const number = words[WORD.freeHead]!;
    if (number === NIL) return NIL;
    const page = PAGE_FIRST_WORD + number * PAGE_WORDS;
    words[WORD.freeHead] = words[page + PAGE_NEXT]!;
    words[page + PAGE_HOLDS] = 1;
    this.#counters[COUNTER.taken]!++;
    return number;
  }

  /** One hold more. False when the count is full. The page must be out. */
  hold(number: number): boolean {
    const word = PAGE_FIRST_WORD + number * PAGE_WORDS + PAGE_HOLDS;
    const holds = this.#words[word]!;
    if (holds === HOLDS_MAX) return false;
    this.#words[word] = holds + 1;
    return true;
  }

  /**
   * One hold less, if `generation` is the present tenancy. With the last hold the tenancy ends: every handle of it
   * is stale from here on, and the caller must {@link putFree} or {@link putQuarantine} the page next.
   */
  drop(number: number, generation: number): number {
    const words = this.#words;
    const page = PAGE_FIRST_WORD + number * PAGE_WORDS;
    if (words[page + PAGE_GENERATION] !== generation) return DROP.stale;
    const holds = words[page + PAGE_HOLDS]! - 1;
    words[page + PAGE_HOLDS] = holds;
    if (holds > 0) return DROP.held;
    words[page + PAGE_GENERATION] = (generation + 1) & GENERATION_MASK;
    this.#counters[COUNTER.returned]!++;
    return DROP.last;
  }

  /** Puts a page of the pool that is on no list at the head of the free list. */
  putFree(number: number): void {
    const words = this.#words;
    words[PAGE_FIRST_WORD + number * PAGE_WORDS + PAGE_NEXT] = words[WORD.freeHead]!;
    words[WORD.freeHead] = number;
  }

  /** Puts a page of the pool that is on no list at the end of the quarantine. */
  putQuarantine(number: number): void {
    const tail = this.#word(WORD.quarantineTail);
    this.#words[PAGE_FIRST_WORD + number * PAGE_WORDS + PAGE_NEXT] = NIL;
    if (tail === NIL) this.#words[WORD.quarantineHead] = number;
    else this.#words[PAGE_FIRST_WORD + tail * PAGE_WORDS + PAGE_NEXT] = number;
    this.#words[WORD.quarantineTail] = number;
    this.#words[WORD.quarantined]!++;
  }

  /** Moves the oldest page of the quarantine to the free list. False when there is none. */
  endQuarantine(): boolean {
    const number = this.#word(WORD.quarantineHead);
    if (number === NIL) return false;
    const next = this.#word(PAGE_FIRST_WORD + number * PAGE_WORDS + PAGE_NEXT);
    this.#words[WORD.quarantineHead] = next;
    if (next === NIL) this.#words[WORD.quarantineTail] = NIL;
    this.#words[WORD.quarantined]!--;
    this.putFree(number);
    return true;
  }

  /** The next page that {@link addUncommitted} would add: a retired one first, then the one at the frontier. */
  nextUncommitted(): number {
    const retired = this.#word(WORD.retiredHead);
    return retired === NIL ? this.frontier : retired;
  }

  /** Makes {@link nextUncommitted} a free page. Its memory must be committed. */
  addUncommitted(): void {
    invariant(this.growable > 0, "free + in use ≤ pagesMax");
    const number = this.nextUncommitted();
    invariant(number < this.#word(WORD.arenaPages), "stolen ≤ stolenMax leaves a page for each one the pool may have");
    const page = PAGE_FIRST_WORD + number * PAGE_WORDS;
    if (number === this.frontier) this.#words[WORD.frontier]!++;
    else {
      this.#words[WORD.retiredHead] = this.#word(page + PAGE_NEXT);
      this.#words[WORD.retired]!--;
    }
    this.#words[page + PAGE_STATE] = STATE.pooled;
    this.#words[WORD.pooled]!++;
    this.putFree(number);
  }

  /** Takes the head off the free list, for {@link retireFree} or {@link putFree} to put elsewhere. NIL when empty. */
  unlinkFree(): number {
    const number = this.#word(WORD.freeHead);
    if (number !== NIL) this.#words[WORD.freeHead] = this.#word(PAGE_FIRST_WORD + number * PAGE_WORDS + PAGE_NEXT);
    return number;
  }

  /** Makes a page of the pool that is on no list uncommitted. */
  retireFree(number: number): void {
    this.#words[WORD.pooled]!--;
    this.#retire(number);
  }

  /**
   * Ends the tenancy of a page with one hold and moves it out of the pool, with one hold of its new owner.
   * Counts as returned: it left its holder. {@link canSteal} must be true.
   * @returns the generation under which the new owner has it
   */
  steal(number: number, generation: number): number {
    invariant(this.canSteal && this.holdsOf(number) === 1, "only a page with one hold is stolen, up to stolenMax");
    invariant(this.drop(number, generation) === DROP.last, "a tenancy ends once");
    const page = PAGE_FIRST_WORD + number * PAGE_WORDS;
    this.#words[page + PAGE_STATE] = STATE.stolen;
    this.#words[page + PAGE_HOLDS] = 1;
    this.#words[WORD.pooled]!--;
    this.#words[WORD.stolen]!++;
    return this.generationOf(number);
  }

  /** Gives a stolen page back to the arena. False, with nothing changed, when `generation` has it no more. */
  giveBack(number: number, generation: number): boolean {
    if (!this.isCurrent(number, generation)) return false;
    const page = PAGE_FIRST_WORD + number * PAGE_WORDS;
    invariant(this.#word(page + PAGE_STATE) === STATE.stolen, "only a stolen page is given back");
    this.#words[page + PAGE_HOLDS] = 0;
    this.#words[page + PAGE_GENERATION] = (generation + 1) & GENERATION_MASK;
    this.#words[WORD.stolen]!--;
    this.#retire(number);
    return true;
  }

  /** Ends the tenancy of a page in use, whoever holds it: every handle of it is stale from here on. For a forced close. */
  abandon(number: number): void {
    invariant(this.isInUse(number), "only a page in use is abandoned");
    this.#words[PAGE_FIRST_WORD + number * PAGE_WORDS + PAGE_HOLDS] = 1;
    this.drop(number, this.generationOf(number));
    this.retireFree(number);
  }

  #retire(number: number): void {
    const page = PAGE_FIRST_WORD + number * PAGE_WORDS;
    this.#words[page + PAGE_STATE] = STATE.uncommitted;
    this.#words[page + PAGE_NEXT] = this.#word(WORD.retiredHead);
    this.#words[WORD.retiredHead] = number;
    this.#words[WORD.retired]!++;
  }

  /** A word that the layout says is there. */
  #word(index: number): number {
    return this.#words[index]!;
  }
}

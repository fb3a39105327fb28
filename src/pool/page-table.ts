import { invariant } from "../invariant.ts";
import type { ControlBlock } from "../memory/control-block.ts";
import * as layout from "../memory/layout.ts";

// The layout's numbers once more as constants of this module: V8 folds those into the code, while an import is a
// load each time it is used. That is half of the time that taking and releasing a page takes.
const NIL = layout.NIL;
const PAGE_WORDS = layout.PAGE_WORDS;
const STATE = layout.PAGE_STATE;
const HOLDS = layout.PAGE_HOLDS;
const GENERATION = layout.PAGE_GENERATION;
const NEXT = layout.PAGE_NEXT;
const GENERATION_MASK = layout.GENERATION_MASK;
const HOLDS_MAX = layout.HOLDS_MAX;
const FREE_HEAD = layout.WORD.freeHead;
const TAKEN = layout.COUNTER.taken;
const IN_USE = layout.WORD.inUse;
const { WORD } = layout;
const { uncommitted: UNCOMMITTED, pooled: POOLED, stolen: STOLEN } = layout.STATE;

/**
 * Who has which page: states, hold counts, generations and lists, and nothing about memory or policy.
 *
 * Laws, true between any two calls (`verify.ts` walks and checks them):
 *
 *     uncommitted + free + in use + stolen = arena pages         (uncommitted = what is left)
 *     free + in use = pooled ≤ pagesMax      stolen ≤ stolenMax      in use = taken − returned ≥ 0
 *     hold count 0 exactly when the page is not out
 *     a page is on exactly one list (free, sorted, quarantine, retired), above the frontier, or out
 *
 *     free:        head ──▶ page 7 ──▶ page 2 ──▶ NIL            LIFO: the warmest page goes out first
 *     sorted:      head ──▶ page 3 ──▶ page 4 ──▶ NIL            ascending: free, too, kept for runs (free-runs.ts)
 *     retired:     head ──▶ page 9 ──▶ NIL                       LIFO: below the frontier, memory given back
 *     quarantine:  head ──▶ page 4 ──▶ page 3 ──▶ NIL ◀── tail   FIFO: free, but last in line (audit)
 *
 * A method that is refused changes nothing. Every method is O(1). Thread: owner only.
 */
export class PageTable {
  readonly #words: Int32Array;
  /** The words of page `n` start at `n * PAGE_WORDS`. */
  readonly #pages: Int32Array;
  readonly #counters: Float64Array;

  constructor(block: ControlBlock) {
    this.#words = block.words;
    this.#pages = block.words.subarray(layout.PAGE_FIRST_WORD);
    this.#counters = block.counters;
  }

  get inUse(): number {
    return this.#words[IN_USE]!;
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
    return this.#pages[number * PAGE_WORDS + GENERATION] === generation;
  }

  generationOf(number: number): number {
    return this.#pages[number * PAGE_WORDS + GENERATION]!;
  }

  holdsOf(number: number): number {
    return this.#pages[number * PAGE_WORDS + HOLDS]!;
  }

  isInUse(number: number): boolean {
    return this.#pages[number * PAGE_WORDS + STATE] === POOLED && this.holdsOf(number) > 0;
  }

  /** The most recently freed page, now in use with one hold; NIL when the free list is empty. */
  take(): number {
    const words = this.#words;
    const pages = this.#pages;
    const number = words[FREE_HEAD]!;
    if (number === NIL) return NIL;
    const page = number * PAGE_WORDS;
    words[FREE_HEAD] = pages[page + NEXT]!;
    pages[page + HOLDS] = 1;
    words[IN_USE]!++;
    this.#counters[TAKEN]!++;
    return number;
  }

  /** The lowest of the sorted pages, now in use with one hold; NIL when there is none. */
  takeLowest(): number {
    const number = this.#word(WORD.sortedHead);
    if (number !== NIL) this.#takeSorted(number);
    return number;
  }

  /** Takes the page after `number`, if it is the lowest of the sorted ones. */
  takeNext(number: number): boolean {
    const isNext = this.#word(WORD.sortedHead) === number + 1;
    if (isNext) this.#takeSorted(number + 1);
    return isNext;
  }

  /** {@link take}, and the lowest of the sorted pages when the free list is empty. */
  takeAny(): number {
    const number = this.take();
    return number === NIL ? this.takeLowest() : number;
  }

  #takeSorted(number: number): void {
    const page = number * PAGE_WORDS;
    this.#words[WORD.sortedHead] = this.#pages[page + NEXT]!;
    this.#pages[page + HOLDS] = 1;
    this.#words[IN_USE]!++;
    this.#counters[TAKEN]!++;
  }

  /** Puts a page of the pool that is on no list, and lower than all sorted ones, before them. */
  putLowest(number: number): void {
    this.#pages[number * PAGE_WORDS + NEXT] = this.#word(WORD.sortedHead);
    this.#words[WORD.sortedHead] = number;
  }

  /** One hold more. False when the count is full. The page must be out. */
  hold(number: number): boolean {
    const word = number * PAGE_WORDS + HOLDS;
    const holds = this.#pages[word]!;
    if (holds === HOLDS_MAX) return false;
    this.#pages[word] = holds + 1;
    return true;
  }

  /**
   * One hold less, if `generation` is the present tenancy. With the last hold the tenancy ends: every handle of it
   * is stale from here on, and the caller must {@link putFree} or {@link putQuarantine} the page next.
   * @returns how many holds are left; NIL, with nothing changed, when the tenancy has ended before
   */
  drop(number: number, generation: number): number {
    const pages = this.#pages;
    const page = number * PAGE_WORDS;
    if (pages[page + GENERATION] !== generation) return NIL;
    const holds = pages[page + HOLDS]! - 1;
    pages[page + HOLDS] = holds;
    if (holds > 0) return holds;
    pages[page + GENERATION] = (generation + 1) & GENERATION_MASK;
    this.#words[IN_USE]!--;
    return 0;
  }

  /** Puts a page of the pool that is on no list at the head of the free list. */
  putFree(number: number): void {
    const words = this.#words;
    this.#pages[number * PAGE_WORDS + NEXT] = words[FREE_HEAD]!;
    words[FREE_HEAD] = number;
  }

  /** Puts a page of the pool that is on no list at the end of the quarantine. */
  putQuarantine(number: number): void {
    const tail = this.#word(WORD.quarantineTail);
    this.#pages[number * PAGE_WORDS + NEXT] = NIL;
    if (tail === NIL) this.#words[WORD.quarantineHead] = number;
    else this.#pages[tail * PAGE_WORDS + NEXT] = number;
    this.#words[WORD.quarantineTail] = number;
    this.#words[WORD.quarantined]!++;
  }

  /** Moves the oldest page of the quarantine to the free list. False when there is none. */
  endQuarantine(): boolean {
    const number = this.#word(WORD.quarantineHead);
    if (number === NIL) return false;
    const next = this.#pages[number * PAGE_WORDS + NEXT]!;
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
    const page = number * PAGE_WORDS;
    if (number === this.frontier) this.#words[WORD.frontier]!++;
    else {
      this.#words[WORD.retiredHead] = this.#pages[page + NEXT]!;
      this.#words[WORD.retired]!--;
    }
    this.#pages[page + STATE] = POOLED;
    this.#words[WORD.pooled]!++;
    this.putFree(number);
  }

  /** Takes a free page off its list, the hottest first, for {@link retireFree}, {@link putFree} or {@link putLowest} to put elsewhere. NIL when there is none. */
  unlinkFree(): number {
    const head = this.#word(FREE_HEAD) === NIL ? WORD.sortedHead : FREE_HEAD;
    const number = this.#word(head);
    if (number !== NIL) this.#words[head] = this.#pages[number * PAGE_WORDS + NEXT]!;
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
    invariant(this.drop(number, generation) === 0, "a tenancy ends once");
    const page = number * PAGE_WORDS;
    this.#pages[page + STATE] = STOLEN;
    this.#pages[page + HOLDS] = 1;
    this.#words[WORD.pooled]!--;
    this.#words[WORD.stolen]!++;
    return this.generationOf(number);
  }

  /** Gives a stolen page back to the arena. False, with nothing changed, when `generation` has it no more. */
  giveBack(number: number, generation: number): boolean {
    if (!this.isCurrent(number, generation)) return false;
    const page = number * PAGE_WORDS;
    invariant(this.#pages[page + STATE] === STOLEN, "only a stolen page is given back");
    this.#pages[page + HOLDS] = 0;
    this.#pages[page + GENERATION] = (generation + 1) & GENERATION_MASK;
    this.#words[WORD.stolen]!--;
    this.#retire(number);
    return true;
  }

  /** Ends the tenancy of a page in use, whoever holds it: every handle of it is stale from here on. For a forced close. */
  abandon(number: number): void {
    invariant(this.isInUse(number), "only a page in use is abandoned");
    this.#pages[number * PAGE_WORDS + HOLDS] = 1;
    this.drop(number, this.generationOf(number));
    this.retireFree(number);
  }

  #retire(number: number): void {
    const page = number * PAGE_WORDS;
    this.#pages[page + STATE] = UNCOMMITTED;
    this.#pages[page + NEXT] = this.#word(WORD.retiredHead);
    this.#words[WORD.retiredHead] = number;
    this.#words[WORD.retired]!++;
  }

  /** A word that the layout says is there. */
  #word(index: number): number {
    return this.#words[index]!;
  }
}

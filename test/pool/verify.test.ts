/**
 * Shows that `verify()` can fail: each law, broken by writing into the control block of a pool that was fine, is found and named.
 *
 * The pool is brought into a state where every list has pages: free, quarantined, retired, in use, stolen.
 */
import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";
import { InvariantError } from "../../src/index.ts";
import type { JumboPool, Page, StolenPage } from "../../src/index.ts";
import type { ControlBlock } from "../../src/memory/control-block.ts";
import { attachControlBlock, createControlBlock } from "../../src/memory/control-block.ts";
import {
  COUNTER,
  NIL,
  PAGE_FIRST_WORD,
  PAGE_GENERATION,
  PAGE_HOLDS,
  PAGE_NEXT,
  PAGE_STATE,
  PAGE_WORDS,
  STATE,
  WORD,
} from "../../src/memory/layout.ts";
import { verifyPages } from "../../src/pool/verify.ts";
import { poolWithBlock } from "./control-block-of.ts";

let pool: JumboPool;
let block: ControlBlock;
let inUse: Page;
let stolen: StolenPage;
let quarantined: Page;
/** Kept to the end: the garbage collector would give these back to pools that are broken by then. */
const thefts: StolenPage[] = [];

beforeEach(() => {
  ({ pool, block } = poolWithBlock({
    pagesMax: 8,
    pagesInitial: 8,
    stolenMax: 3,
    audit: { sampleEvery: 1, quarantinePages: 2, onFinding: () => {} },
  }));
  const pages: Page[] = [];
  assert.equal(pool.allocMany(pages, 7), 7);
  const [a, b, c, d, e, f, g] = pages;
  assert(a && b && c && d && e && f && g);
  inUse = a.hold();
  stolen = b.steal();
  thefts.push(stolen);
  c.steal().release(); // retired
  for (const page of [d, e, f, g]) page.release(); // two free, two in quarantine
  quarantined = f;
  const { words } = block;
  assert(words[WORD.freeHead] !== NIL && words[WORD.retiredHead] !== NIL && words[WORD.quarantined] === 2);
  pool.verify();
});

/** The word `field` of page `number`. */
function wordOf(number: number, field: number): number {
  return PAGE_FIRST_WORD + number * PAGE_WORDS + field;
}

/** A word of the header that is a page number. */
function headOf(list: number): number {
  const number = block.words[list] ?? NIL;
  assert.notEqual(number, NIL, "the list has a page");
  return number;
}

function nextOf(number: number): number {
  return block.words[wordOf(number, PAGE_NEXT)] ?? NIL;
}

function set(index: number, value: number): void {
  assert.notEqual(block.words[index], value, "the mutation changes something");
  block.words[index] = value;
}

function add(index: number, difference: number): void {
  set(index, (block.words[index] ?? 0) + difference);
}

const mutations: readonly (readonly [broken: string, law: RegExp, mutate: () => void])[] = [
  [
    "a free page is held",
    /hold count 0 exactly when it is not out/,
    () => set(wordOf(headOf(WORD.freeHead), PAGE_HOLDS), 1),
  ],
  ["a quarantined page is held", /hold count 0 exactly/, () => set(wordOf(quarantined.number, PAGE_HOLDS), 1)],
  ["a retired page is held", /hold count 0 exactly/, () => set(wordOf(headOf(WORD.retiredHead), PAGE_HOLDS), 1)],
  ["a page in use has no hold", /hold count 0 exactly/, () => set(wordOf(inUse.number, PAGE_HOLDS), 0)],
  ["a stolen page has no hold", /hold count 0 exactly/, () => set(wordOf(stolen.number, PAGE_HOLDS), 0)],
  ["a hold count is negative", /never negative/, () => set(wordOf(inUse.number, PAGE_HOLDS), -1)],
  [
    "the free list is a cycle",
    /is on list 1 and on list 1/,
    () => set(wordOf(nextOf(headOf(WORD.freeHead)), PAGE_NEXT), headOf(WORD.freeHead)),
  ],
  [
    "the free list runs into the quarantine",
    /is on list 2 and on list 1/,
    () => {
      let last = headOf(WORD.freeHead);
      while (nextOf(last) !== NIL) last = nextOf(last);
      set(wordOf(last, PAGE_NEXT), headOf(WORD.quarantineHead));
    },
  ],
  ["the free list names a page in use", /has its state|hold count 0/, () => set(WORD.freeHead, inUse.number)],
  ["the free list names a stolen page", /has its state/, () => set(WORD.freeHead, stolen.number)],
  ["the free list names a page beyond the frontier", /not below the frontier/, () => set(WORD.freeHead, 10)],
  ["the free list names no page at all", /not below the frontier/, () => set(WORD.freeHead, -2)],
  [
    "the free list has lost a page",
    /hold count 0 exactly|on one list/,
    () => set(WORD.freeHead, nextOf(headOf(WORD.freeHead))),
  ],
  ["the retired list has lost its pages", /retired count/, () => set(WORD.retiredHead, NIL)],
  [
    "the retired list names a free page",
    /is on list 3 and on list 1/,
    () => set(WORD.retiredHead, headOf(WORD.freeHead)),
  ],
  [
    "the quarantine has lost a page",
    /quarantine count|quarantine's tail/,
    () => set(WORD.quarantineHead, nextOf(headOf(WORD.quarantineHead))),
  ],
  [
    "the quarantine's tail is not its last page",
    /quarantine's tail/,
    () => set(WORD.quarantineTail, headOf(WORD.quarantineHead)),
  ],
  ["the quarantine's count is wrong", /quarantine count/, () => add(WORD.quarantined, 1)],
  ["the retired count is wrong", /retired count/, () => add(WORD.retired, 1)],
  ["the count of the pool's pages is wrong", /counts are the pages' states|free \+ in use/, () => add(WORD.pooled, 1)],
  ["the count of stolen pages is wrong", /counts are the pages' states/, () => add(WORD.stolen, 1)],
  [
    "a page in use is uncommitted",
    /hold count 0 exactly/,
    () => set(wordOf(inUse.number, PAGE_STATE), STATE.uncommitted),
  ],
  [
    "a page in use is stolen, but not counted as such",
    /counts are the pages' states/,
    () => set(wordOf(inUse.number, PAGE_STATE), STATE.stolen),
  ],
  ["a page is in a state that there is not", /one of the states/, () => set(wordOf(stolen.number, PAGE_STATE), 7)],
  [
    "a page was taken and not counted as in use",
    /free \+ in use = pooled|in use is what is out/,
    () => void block.words[WORD.inUse]!--,
  ],
  [
    "more pages are in use than were ever taken",
    /never more than were taken/,
    () => void (block.counters[COUNTER.taken] = 0),
  ],
  ["more pages than pagesMax", /free \+ in use ≤ pagesMax/, () => set(WORD.pagesMax, 4)],
  ["more stolen pages than stolenMax", /stolen ≤ stolenMax/, () => set(WORD.stolenMax, 0)],
  [
    "a page beyond the frontier is in the pool",
    /hold count 0 exactly/,
    () => set(wordOf(10, PAGE_STATE), STATE.pooled),
  ],
  ["the frontier is beyond the arena", /frontier lies in the arena/, () => set(WORD.frontier, 12)],
  ["the frontier is behind a page", /frontier/, () => set(WORD.frontier, 1)],
];

describe("verify finds that", () => {
  for (const [broken, law, mutate] of mutations) {
    test(broken, () => {
      mutate();
      assert.throws(
        () => pool.verify(),
        (error) => {
          assert(error instanceof InvariantError);
          assert.match(error.message, /please report it/);
          assert.match(error.message, law);
          return true;
        },
      );
    });
  }
});

test("verify has nothing against what may be: any generation, and a block just made", () => {
  set(wordOf(inUse.number, PAGE_GENERATION), 1234);
  pool.verify();
  const fresh = createControlBlock({ pageSizeBytes: 4096, pagesMax: 3, stolenMax: 1 });
  verifyPages(fresh);
  verifyPages(attachControlBlock(fresh.memory));
});

test("generations come around after 2^31 tenancies, and a handle of long ago stays refused", () => {
  const page = wordOf(stolen.number, PAGE_GENERATION);
  const free = headOf(WORD.freeHead);
  set(wordOf(free, PAGE_GENERATION), 0x7fff_ffff);
  const last = pool.alloc();
  assert.equal(last?.number, free);
  last?.release();
  assert.equal(block.words[wordOf(free, PAGE_GENERATION)], 0, "around, not negative");
  block.words[wordOf(free, PAGE_GENERATION)] = 0x7fff_ffff;
  assert.throws(() => last?.bytes, { code: "ERR_JUMBO_PAGE_RELEASED" });
  assert(Number.isInteger(block.words[page]));
});

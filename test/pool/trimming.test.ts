/**
 * Shows which free pages a trim gives away: the coldest, adjacent ones in one call; what stays keeps its order, and a run that the
 * system refuses stays free. With a system of our own that notes what it is asked, and refuses on demand.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { JumboPool } from "../../src/index.ts";
import type { Page } from "../../src/index.ts";
import { Arena } from "../../src/memory/arena.ts";
import { createControlBlock } from "../../src/memory/control-block.ts";
import type { ControlBlock } from "../../src/memory/control-block.ts";
import { NIL, PAGE_FIRST_WORD, PAGE_NEXT, PAGE_WORDS, WORD } from "../../src/memory/layout.ts";
import type { MemoryAdvice } from "../../src/os/memory-advice.ts";
import { loadMemoryAdvice } from "../../src/os/memory-advice.ts";
import { growFree } from "../../src/pool/growth.ts";
import { PageTable } from "../../src/pool/page-table.ts";
import { trimFree } from "../../src/pool/trimming.ts";
import { verifyPages } from "../../src/pool/verify.ts";

const PAGE_BYTES = 4096;
const PAGES = 10;

/** The free list, hottest first. */
function freeList({ words }: ControlBlock): number[] {
  const numbers: number[] = [];
  for (
    let number = words[WORD.freeHead] ?? NIL;
    number !== NIL;
    number = words[PAGE_FIRST_WORD + number * PAGE_WORDS + PAGE_NEXT] ?? NIL
  ) {
    assert(numbers.push(number) <= PAGES);
  }
  return numbers;
}

/** Pages that were freed in the order of `numbers`, and a system that discards everything but page `refused`. */
function freed(
  numbers: readonly number[],
  refused = NIL,
): { trim: (count: number) => number; block: ControlBlock; asked: number[][] } {
  const block = createControlBlock({ pageSizeBytes: PAGE_BYTES, pagesMax: PAGES, stolenMax: 0 });
  const table = new PageTable(block);
  const arena = new Arena(PAGE_BYTES, PAGES);
  assert.equal(growFree(arena, table, PAGES), PAGES);
  while (table.unlinkFree() !== NIL);
  for (const number of numbers) table.putFree(number);
  const asked: number[][] = [];
  const discard = ({ byteOffset, length }: Uint8Array): boolean => {
    const run = Array.from({ length: length / PAGE_BYTES }, (_, index) => byteOffset / PAGE_BYTES + index);
    asked.push(run);
    return !run.includes(refused);
  };
  const advice: MemoryAdvice = { systemPageBytes: PAGE_BYTES, discard };
  return { trim: (count) => trimFree(arena, table, advice, count, null), block, asked };
}

test("the coldest go, adjacent ones in one call; the others keep their order", () => {
  const { trim, block, asked } = freed([4, 9, 3, 0, 5, 8, 1, 7, 2, 6]);
  assert.equal(trim(5), 5);
  assert.deepEqual(asked, [[0], [3, 4, 5], [9]]);
  assert.deepEqual(freeList(block), [6, 2, 7, 1, 8]);
  verifyPages(block);
});

test("a run that the system refuses stays free", () => {
  const { trim, block, asked } = freed([4, 9, 3, 0, 5, 8, 1, 7, 2, 6], 4);
  assert.equal(trim(5), 2);
  assert.deepEqual(asked, [[0], [3, 4, 5], [9]]);
  assert.deepEqual(freeList(block), [6, 2, 7, 1, 8, 5, 4, 3]);
  verifyPages(block);
});

test("all, none, and more than there are", () => {
  for (const [count, expected] of [
    [0, 0],
    [PAGES, PAGES],
    [PAGES + 5, PAGES],
  ] as const) {
    const { trim, block } = freed([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert.equal(trim(count), expected);
    assert.equal(freeList(block).length, PAGES - expected);
    verifyPages(block);
  }
});

const found = loadMemoryAdvice();
const skip = found.advice === null && `memory cannot be given back: ${found.reason}`;

test("idle trim keeps as many pages as were needed at a time since the last one", { skip }, (context) => {
  context.mock.timers.enable({ apis: ["setInterval"] });
  const pool = new JumboPool({ pagesMax: 64, pagesInitial: 4, idleTrimMs: 1000, audit: false });
  const use = (count: number): void => {
    const pages: Page[] = [];
    assert.equal(pool.allocMany(pages, count), count);
    for (const page of pages) page.release();
  };
  use(64);
  context.mock.timers.tick(1000);
  assert.equal(pool.stats().free, 64, "all were needed");
  use(20);
  context.mock.timers.tick(999);
  assert.equal(pool.stats().free, 64, "not before its time");
  context.mock.timers.tick(1);
  assert.equal(pool.stats().free, 20);
  use(10);
  context.mock.timers.tick(1000);
  assert.equal(pool.stats().free, 10);
  context.mock.timers.tick(1000);
  assert.equal(pool.stats().free, 4, "pagesInitial stay");
  context.mock.timers.tick(10_000);
  assert.equal(pool.stats().free, 4);
  use(64);
  context.mock.timers.tick(2000);
  assert.equal(pool.stats().free, 4, "growing starts it again");
});

/**
 * Shows that runs are what they say: pages side by side, as long as the free pages allow; that who gives them back together gets
 * them together again, also when single pages go in and out between; and that no page is lost to the list that runs come from.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { JumboPool } from "../../src/index.ts";
import type { Page, PoolOptions } from "../../src/index.ts";

function poolOf(pagesMax: number, options: PoolOptions = {}): JumboPool {
  return new JumboPool({ pagesMax, stolenMax: 0, idleTrimMs: 0, ...options });
}

function runOf(pool: JumboPool, count: number): readonly Page[] {
  const run = pool.allocRun(count);
  assert(run !== null);
  const numbers = run.pages.map(({ number }) => number);
  assert.deepEqual(
    numbers,
    numbers.map((_number, index) => (numbers[0] ?? 0) + index),
  );
  assert.equal(run.bytes.length, run.pages.length * pool.pageSizeBytes);
  run.pages.forEach((page, index) => page.bytes.fill(index + 1));
  for (const index of run.pages.keys())
    assert.equal(run.bytes[index * pool.pageSizeBytes], index + 1, "the same memory");
  pool.verify();
  return run.pages;
}

function release(pages: readonly Page[]): void {
  for (const page of pages) page.release();
}

test("a fresh pool gives runs as long as asked, and grows for them", () => {
  const pool = poolOf(1000, { pagesInitial: 0 });
  assert.equal(runOf(pool, 128).length, 128);
  assert.equal(runOf(pool, 128).length, 128);
  assert.equal(pool.stats().inUse, 256);
});

test("a run of one is a page; a run past the end is what is left; then null, counted as refused", () => {
  const pool = poolOf(10);
  assert.equal(runOf(pool, 1).length, 1);
  let left = 9;
  while (left > 0) left -= runOf(pool, 100).length;
  assert.equal(left, 0, "every page was in some run");
  assert.equal(pool.allocRun(1), null);
  assert.equal(pool.alloc(), null);
  assert.equal(pool.stats().refused, 2);
});

test("alloc finds the pages that were sorted for runs", () => {
  const pool = poolOf(16);
  const run = runOf(pool, 2); // sorts eight
  const pages: Page[] = [];
  assert.equal(pool.allocMany(pages, 16), 14, "all the others");
  pool.verify();
  release([...run, ...pages]);
  assert.equal(pool.stats().free, 16);
});

test("first in, first out: runs stay long for ever, with single pages between", () => {
  const pool = poolOf(512);
  const kept: (readonly Page[])[] = [];
  const single: Page[] = [];
  let pages = 0;
  const rounds = 2_000;
  for (let round = 0; round < rounds; round++) {
    kept.push(runOf(pool, 16));
    pages += kept.at(-1)?.length ?? 0;
    if (round % 3 === 0) single.push(...[pool.alloc()].filter((page) => page !== null));
    if (kept.length > 12) release(kept.shift() ?? []);
    if (single.length > 20) single.shift()?.release();
  }
  assert(pages / rounds > 4, `${(pages / rounds).toFixed(1)} pages a run`);
  release([...kept.flat(), ...single]);
  assert.equal(pool.stats().inUse, 0);
});

test("a scattered pool gives short runs, and long ones again when its pages are back", () => {
  const pool = poolOf(64, { pagesInitial: 64 });
  const pages: Page[] = [];
  pool.allocMany(pages, 64);
  release(pages.filter(({ number }) => number % 2 === 0));
  for (let i = 0; i < 32; i++) release(runOf(pool, 8)); // one page each: its neighbours are out
  assert.equal(pool.stats().inUse, 32);
  release(pages.filter(({ number }) => number % 2 === 1));
  const longest: number[] = [];
  for (let round = 0; round < 8; round++) {
    const runs: (readonly Page[])[] = [];
    while (pool.stats().inUse < 64) runs.push(runOf(pool, 8));
    longest.push(Math.max(...runs.map(({ length }) => length)));
    release(runs.flat());
  }
  assert.equal(longest.at(-1), 8, `the longest run in each round: ${longest.join(", ")}`);
});

test("sorted pages can be trimmed like any free page", () => {
  const pool = poolOf(64, { pagesInitial: 64 });
  const run = runOf(pool, 4); // sorts sixteen
  assert.equal(pool.trim() + pool.stats().trimKept, 60);
  pool.verify();
  release(run);
  assert.equal(runOf(pool, 8).length > 0, true);
});

test("audit: runs are watched like pages, and what waits in the quarantine is not lost to them", () => {
  const pool = poolOf(8, { audit: { quarantinePages: 8, sampleEvery: 1 } });
  release(runOf(pool, 8));
  for (let i = 0; i < 8; i++) assert(pool.allocRun(8) !== null, "from the quarantine, too");
  assert.equal(pool.allocRun(1), null);
  assert.equal(pool.holders().length, 8);
});

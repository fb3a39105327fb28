/**
 * Shows that a pool gives its free memory back to the system: on demand and when idle, measured as RSS, without touching
 * what is out, and never below `pagesInitial` by itself. Where the system does not let us, everything is kept and counted.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { JumboPool } from "../../src/index.ts";
import type { Page } from "../../src/index.ts";
import { loadMemoryAdvice } from "../../src/os/memory-advice.ts";
import { inChild } from "./child.ts";
import { until } from "./until.ts";

const found = loadMemoryAdvice();
const skip = found.advice === null && `memory cannot be given back: ${found.reason}`;
const MIB = 1_048_576;

function allocated(pool: JumboPool, count: number): Page[] {
  const pages: Page[] = [];
  assert.equal(pool.allocMany(pages, count), count);
  return pages;
}

describe("trim", { skip }, () => {
  test("gives RSS back, and the pages can be used again", () => {
    const pool = new JumboPool({ pageSizeBytes: 65_536, pagesMax: 1600, idleTrimMs: 0 }); // 100 MiB
    const before = process.memoryUsage.rss();
    for (const page of allocated(pool, 1600).map((taken) => (taken.bytes.fill(1), taken))) page.release();
    const full = process.memoryUsage.rss();
    assert(full - before > 80 * MIB, `writing 100 MiB takes them: ${(full - before) / MIB}`);
    assert.equal(pool.trim(), 1600);
    const trimmed = process.memoryUsage.rss();
    assert(
      full - trimmed > 80 * MIB,
      `trim gives them back: ${(full - trimmed) / MIB} of ${(full - before) / MIB} MiB`,
    );
    assert.equal(pool.stats().free, 0);
    assert.equal(pool.stats().uncommitted, pool.stats().arenaPages);
    assert.equal(pool.stats().trimUnavailable, null);
    const [page] = allocated(pool, 1);
    assert(
      page?.bytes.every((byte) => byte === 0),
      "memory from the system is zero",
    );
    pool.verify();
  });

  test("gives a stolen page's memory back when its owner does", () => {
    const pool = new JumboPool({ pageSizeBytes: 65_536, pagesMax: 1600, idleTrimMs: 0 });
    const stolen = allocated(pool, 1600).map((page) => (page.bytes.fill(1), page.steal()));
    const full = process.memoryUsage.rss();
    for (const page of stolen) page.release();
    assert(full - process.memoryUsage.rss() > 80 * MIB);
    assert.equal(pool.stats().trimKept, 0);
  });

  test("touches nothing that is out or stolen, whatever lies next to it", () => {
    const pool = new JumboPool({ pagesMax: 100, idleTrimMs: 0 });
    const pages = allocated(pool, 100);
    for (const page of pages) page.bytes.fill(page.number & 0xff);
    const stolen = pages.splice(0, 5).map((page) => page.steal());
    const kept = pages.filter((_, index) => index % 3 === 0);
    for (const page of pages) if (!kept.includes(page)) page.release();
    const { free } = pool.stats();
    assert.equal(pool.trim(), free);
    for (const { bytes, number } of [...kept, ...stolen]) assert(bytes.every((byte) => byte === (number & 0xff)));
    assert.equal(pool.trim(), 0, "nothing is left to give");
    assert.equal(allocated(pool, 100 - kept.length).length, 100 - kept.length);
    pool.verify();
  });
});

describe("idle trim", () => {
  test("gives back what nobody needed, down to pagesInitial", { skip }, async () => {
    const pool = new JumboPool({ pagesMax: 64, pagesInitial: 4, idleTrimMs: 5, audit: false });
    for (const page of allocated(pool, 64)) page.release();
    assert.equal(pool.stats().free, 64);
    await until(() => pool.stats().free === 4, "idle trim down to pagesInitial");
    assert.equal(pool.stats().trimmed, 60);
    assert.equal(pool.stats().inUsePeak, 64, "the peak is for ever");
    for (const page of allocated(pool, 64)) page.release();
    await until(() => pool.stats().free === 4, "and again after the next growth");
    pool.verify();
    pool.close();
  });

  test("leaves what is in use, and as many free pages as were needed meanwhile", { skip }, async () => {
    const pool = new JumboPool({ pagesMax: 64, pagesInitial: 1, idleTrimMs: 5, audit: false });
    const pages = allocated(pool, 64);
    for (const page of pages.splice(10)) page.release();
    await until(() => pool.stats().free === 0, "idle trim of the free ones");
    assert.equal(pool.stats().inUse, 10);
    pool.verify();
    pool.close({ force: true });
  });

  test("0 is never", async () => {
    const never = new JumboPool({ pagesMax: 64, pagesInitial: 1, idleTrimMs: 0, audit: false });
    for (const page of allocated(never, 64)) page.release();
    // Another pool's idle trim is the clock: when that has happened, this one's would have.
    const clock = new JumboPool({ pagesMax: 64, pagesInitial: 1, idleTrimMs: 5, audit: false });
    for (const page of allocated(clock, 64)) page.release();
    await until(() => clock.stats().trimmed + clock.stats().trimKept > 0, "the other pool's idle trim");
    assert.equal(never.stats().free, 64);
    assert.equal(never.stats().trimKept, 0);
  });

  test("keeps no process alive", async () => {
    const script = `const pool = new JumboPool({ idleTrimMs: 3_600_000 }); const pages = [];
      pool.allocMany(pages, 100); for (const page of pages) page.release(); console.log("1");`;
    assert.equal((await inChild(script, {})).value, 1); // ends within the child's limit, far below the timer's
  });
});

describe("without system calls (JUMBO_FFI=0)", () => {
  test("pages are kept and counted, and stats() says why", async () => {
    const script = `const pool = new JumboPool({ pagesMax: 64, idleTrimMs: 0 }); const pages = [];
      pool.allocMany(pages, 40); for (const page of pages) page.release();
      const { free } = pool.stats();
      const trimmed = pool.trim();
      pool.verify();
      console.log(JSON.stringify({ free, trimmed, after: pool.stats() }));`;
    const { value } = await inChild(script, { JUMBO_FFI: "0" });
    assert(typeof value === "object" && value !== null && "free" in value && "trimmed" in value && "after" in value);
    assert.equal(value.trimmed, 0);
    assert(typeof value.after === "object" && value.after !== null);
    const { free, trimKept, trimUnavailable } = value.after as {
      free: unknown;
      trimKept: unknown;
      trimUnavailable: unknown;
    }; // PoolStats, by way of JSON
    assert.equal(free, value.free);
    assert.equal(trimKept, value.free);
    assert.equal(trimUnavailable, "switched off by JUMBO_FFI=0");
  });

  test("zeroOnRelease holds all the same, for stolen pages and under audit", async () => {
    const script = `let dirty = 0;
      for (const audit of [false, true]) {
        const pool = new JumboPool({ pagesMax: 1, stolenMax: 1, zeroOnRelease: true, idleTrimMs: 0, audit });
        for (let round = 0; round < 8; round++) {
          const page = pool.alloc();
          if (page.bytes.some((byte) => byte !== 0)) dirty++;
          page.bytes.fill(7);
          if (round % 2 === 0) page.steal().release(); else page.release();
          pool.trim();
        }
      }
      console.log(JSON.stringify(dirty));`;
    assert.equal((await inChild(script, { JUMBO_FFI: "0" })).value, 0);
  });
});

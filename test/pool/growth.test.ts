/**
 * Shows that a pool begins small, grows in place and on demand, never past its limits, and hands out the warmest page first:
 * views taken before a growth go on being the same memory, for all three page sizes, up to 4 GiB in all.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { JumboPool } from "../../src/index.ts";
import type { Page, PoolStats } from "../../src/index.ts";
import { collecting, collectionOf } from "./collected.ts";

const PAGE_SIZES_BYTES = [4096, 16_384, 65_536];

function allocated(pool: JumboPool): Page {
  const page = pool.alloc();
  assert(page !== null, "the pool has a page");
  return page;
}

/** The law of the counts, on a snapshot. */
function assertLaw(stats: PoolStats): void {
  assert.equal(stats.uncommitted + stats.free + stats.inUse + stats.stolen, stats.arenaPages);
  assert.equal(stats.inUse, stats.taken - stats.returned);
  assert(stats.free + stats.inUse <= stats.pagesMax);
}

for (const pageSizeBytes of PAGE_SIZES_BYTES) {
  describe(`pages of ${pageSizeBytes} bytes`, () => {
    test("a pool begins with pagesInitial and grows to exactly pagesMax", () => {
      const pool = new JumboPool({ pageSizeBytes, pagesMax: 100, pagesInitial: 3 });
      assert.equal(pool.stats().free, 3);
      assert.equal(pool.stats().grown, 3);
      assert.equal(pool.stats().uncommitted, pool.stats().arenaPages - 3);
      const pages: Page[] = [];
      for (let page = pool.alloc(); page !== null; page = pool.alloc()) {
        pages.push(page);
        assertLaw(pool.stats());
      }
      assert.equal(pages.length, 100);
      assert.equal(new Set(pages.map(({ number }) => number)).size, 100);
      assert.equal(pool.stats().inUsePeak, 100);
      pool.verify();
    });

    test("views taken before a growth are the same memory after it, and no page overlaps another", () => {
      const pool = new JumboPool({ pageSizeBytes, pagesMax: 300, pagesInitial: 1 });
      const first = allocated(pool);
      const before = first.bytes;
      const inside = before.subarray(10, 20);
      before.fill("a");
      const others: Page[] = [];
      assert.equal(pool.allocMany(others, 299), 299);
      for (const page of others) page.bytes.fill("b");
      assert.equal(first.bytes, before, "one Buffer for one page");
      assert(before.every((byte) => byte === 97));
      before.write("later", 10);
      assert.equal(inside.toString("latin1", 0, 5), "later");
      for (const page of others) {
        assert.equal(page.bytes.length, pageSizeBytes);
        assert.equal(page.bytes.byteOffset % pageSizeBytes, 0, "pages begin at page boundaries");
        assert(page.bytes.every((byte) => byte === 98));
      }
    });

    test("a pool of 4 GiB can be made, and its last page be used", () => {
      const pagesMax = 2 ** 32 / pageSizeBytes;
      const pool = new JumboPool({ pageSizeBytes, pagesMax, pagesInitial: 0 });
      assert.equal(pool.stats().arenaPages, pagesMax);
      assert.equal(pool.stats().stolen, 0);
      allocated(pool).bytes.fill(1);
      assertLaw(pool.stats());
      pool.close({ force: true });
    });
  });
}

test("the last page of 4 GiB is committed, and its last byte is its own", () => {
  const pool = new JumboPool({ pageSizeBytes: 65_536, pagesMax: 65_536, pagesInitial: 65_536 });
  const [first, last] = [allocated(pool), allocated(pool)].map((page) => page.number).sort((a, b) => a - b);
  assert(first !== undefined && last !== undefined);
  assert(last >= 65_534, "the pages committed last go out first");
  pool.close({ force: true });
});

test("the page released last goes out first", () => {
  const pool = new JumboPool({ pagesMax: 8, audit: false });
  const pages = Array.from({ length: 8 }, () => allocated(pool));
  const numbers = pages.map(({ number }) => number);
  for (const page of pages) page.release();
  const again = Array.from({ length: 8 }, () => allocated(pool).number);
  assert.deepEqual(again, numbers.reverse());
});

test("allocMany appends what there is, and tells how many", () => {
  const pool = new JumboPool({ pagesMax: 5 });
  const pages: Page[] = [allocated(pool)];
  assert.equal(pool.allocMany(pages, 0), 0);
  assert.equal(pool.allocMany(pages, 3), 3);
  assert.equal(pool.allocMany(pages, 3), 1);
  assert.equal(pages.length, 5);
  assert.equal(pool.stats().refused, 1);
  assert.equal(pool.availablePages, 0);
});

test("zeroOnRelease: no tenant sees another's bytes; without it, alloc costs no zeroing", () => {
  for (const zeroOnRelease of [true, false]) {
    const pool = new JumboPool({ pagesMax: 1, zeroOnRelease, audit: false });
    const page = allocated(pool);
    page.bytes.fill("secret");
    page.release();
    assert.equal(allocated(pool).bytes.includes("secret"), !zeroOnRelease);
  }
});

test("a pool that nobody can reach any more is collected: its timer does not keep it", async () => {
  const makeAndForget = (): Promise<void> => {
    const pool = new JumboPool({ pagesMax: 64, pagesInitial: 0, idleTrimMs: 3_600_000 });
    allocated(pool).release();
    return collectionOf(pool);
  };
  await collecting(makeAndForget(), "the pool is collected");
});

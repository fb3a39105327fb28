/**
 * Shows what holding a page means: `using` gives it back, holds are counted, one Buffer serves every tenant, and a copy is one's own.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { JumboPool } from "../../src/index.ts";
import type { Page } from "../../src/index.ts";

function allocated(pool: JumboPool): Page {
  const page = pool.alloc();
  assert(page !== null, "the pool has a page");
  return page;
}

test("using: a page goes back at the end of the block, also when the block throws", () => {
  const pool = new JumboPool({ pagesMax: 2 });
  {
    using page = pool.alloc();
    assert.equal(page?.holdCount, 1);
    assert.equal(pool.stats().inUse, 1);
  }
  assert.equal(pool.stats().inUse, 0);
  assert.throws(() => {
    using page = pool.alloc();
    page?.bytes.fill(1);
    throw new Error("from the block");
  }, /from the block/);
  assert.equal(pool.stats().inUse, 0);
});

test("using: a null, and a page that was released or stolen in the block, are no mistakes", () => {
  const pool = new JumboPool({ pagesMax: 1 });
  const kept = allocated(pool);
  {
    using none = pool.alloc();
    assert.equal(none, null);
  }
  kept.release();
  {
    using page = allocated(pool);
    page.release();
  }
  {
    using page = allocated(pool);
    using stolen = page.steal();
    assert.equal(pool.stats().stolen, 1);
    assert.equal(stolen.isReleased, false);
  }
  assert.equal(pool.stats().stolen, 0);
  assert.equal(pool.stats().inUse, 0);
});

test("using: only one hold ends with the block", () => {
  const pool = new JumboPool({ pagesMax: 1 });
  let kept: Page;
  {
    using page = allocated(pool);
    kept = page.hold();
    assert.equal(page.holdCount, 2);
  }
  assert.equal(kept.holdCount, 1);
  kept.release();
  assert.equal(pool.stats().inUse, 0);
});

test("using: a pool closes at the end of the block", async () => {
  let closed: Promise<void>;
  {
    using pool = new JumboPool({ pagesMax: 1 });
    ({ closed } = pool);
    allocated(pool).release();
  }
  await closed;
});

test("the last of n holds frees, not one before", () => {
  const pool = new JumboPool({ pagesMax: 1 });
  const page = allocated(pool);
  for (let holds = 2; holds <= 5; holds++) assert.equal(page.hold().holdCount, holds);
  for (let holds = 4; holds >= 1; holds--) {
    page.release();
    assert.equal(page.holdCount, holds);
    assert.equal(page.isReleased, false);
  }
  page.release();
  assert.equal(page.isReleased, true);
  assert.equal(pool.stats().free, pool.stats().grown);
});

test("one Buffer serves every tenant of a page, and it is shared memory", () => {
  const pool = new JumboPool({ pagesMax: 1 });
  const page = allocated(pool);
  const { bytes } = page;
  assert(bytes.buffer instanceof SharedArrayBuffer);
  page.release();
  assert.equal(allocated(pool).bytes, bytes);
});

test("a copy is memory of one's own, of the part that was asked for", () => {
  const pool = new JumboPool({ pagesMax: 1 });
  const page = allocated(pool);
  page.bytes.fill("0123456789");
  const copy = page.copy(2, 5);
  assert.equal(page.copy().length, 4096);
  assert.equal(page.copy(4090).toString(), "012345");
  page.bytes.fill(0);
  page.release();
  assert.equal(copy.toString(), "234");
  assert(copy.buffer instanceof ArrayBuffer);
  assert.equal(copy.buffer.byteLength, 3, "and keeps nothing else alive");
});

/**
 * Shows that a stolen page is its owner's for as long as anybody can see it: its bytes survive whatever its pool does, it
 * comes back by itself when it is garbage, and never while any view of its bytes is reachable.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { JumboPool } from "../../src/index.ts";
import type { Page, StolenPage } from "../../src/index.ts";
import { collectGarbage, collecting, collectThoroughly } from "./collected.ts";

const PAGES = 16;

function allocated(pool: JumboPool): Page {
  const page = pool.alloc();
  assert(page !== null, "the pool has a page");
  return page;
}

function stolenFrom(pool: JumboPool, text: string): StolenPage {
  const page = allocated(pool);
  page.bytes.fill(text);
  return page.steal();
}

/** Takes every page the pool can give, several times, and writes to all of each. */
function churn(pool: JumboPool): void {
  for (let round = 0; round < 3; round++) {
    const pages: Page[] = [];
    assert.equal(pool.allocMany(pages, PAGES), PAGES);
    for (const page of pages) page.bytes.fill(0xee);
    for (const page of pages) page.release();
    pool.trim();
  }
}

/** Resolves when `pool` has got `count` pages back from the garbage collector. */
async function stolenCollected(pool: JumboPool, count: number): Promise<void> {
  const event = new Promise<void>((resolve) => {
    const look = (): unknown => (pool.stats().stolenCollected >= count ? resolve() : setImmediate(look).unref());
    look();
  });
  await collecting(event, `${count} stolen pages come back by themselves`);
}

test("the bytes of a stolen page are intact after its pool has churned through all its pages", () => {
  const pool = new JumboPool({ pagesMax: PAGES });
  const stolen = stolenFrom(pool, "mine");
  const view = stolen.bytes;
  churn(pool);
  assert.equal(stolen.bytes, view, "one Buffer");
  assert.equal(view.toString(), "mine".repeat(1024));
  assert.equal(pool.stats().inUse + pool.stats().free <= PAGES, true);
  pool.close();
  assert.equal(stolen.bytes.toString(), "mine".repeat(1024), "a pool that is closed leaves it alone");
  stolen.release();
  assert.equal(pool.stats().stolen, 0);
  pool.verify();
});

test("a steal makes room for one page more at once: the pool's own pages are still pagesMax", () => {
  const pool = new JumboPool({ pagesMax: PAGES });
  const stolen = Array.from({ length: PAGES }, () => stolenFrom(pool, "x"));
  assert.equal(pool.allocMany([], PAGES), PAGES);
  assert.equal(pool.alloc(), null);
  assert.equal(new Set(stolen.map(({ number }) => number)).size, PAGES);
  for (const page of stolen) page.release();
  assert.equal(pool.alloc(), null, "a page given back is room for the next steal, not one page more");
  assert.equal(pool.stats().uncommitted, PAGES);
});

test("a stolen page that nobody can reach comes back by itself", async () => {
  const pool = new JumboPool({ pagesMax: PAGES });
  ((): void => void stolenFrom(pool, "bytes never looked at"))();
  ((): void => void stolenFrom(pool, "bytes looked at").bytes.subarray(1))();
  assert.equal(pool.stats().stolen, 2);
  await stolenCollected(pool, 2);
  assert.equal(pool.stats().stolen, 0);
  assert.equal(pool.stats().stolenReturned, 0);
  pool.verify();
  churn(pool);
});

const ways: readonly (readonly [name: string, viewOf: (bytes: Buffer) => ArrayBufferView])[] = [
  ["the Buffer itself", (bytes) => bytes],
  ["a subarray of it", (bytes) => bytes.subarray(100, 200)],
  ["a subarray of a subarray", (bytes) => bytes.subarray(50).subarray(50, 150)],
  ["a Uint8Array over its memory", (bytes) => new Uint8Array(bytes.buffer, bytes.byteOffset + 100, 100)],
  ["a DataView over its memory", (bytes) => new DataView(bytes.buffer, bytes.byteOffset + 100, 100)],
];
for (const [name, viewOf] of ways) {
  test(`a stolen page does NOT come back while anybody has ${name}`, async () => {
    const pool = new JumboPool({ pagesMax: PAGES });
    const views = [((): ArrayBufferView => viewOf(stolenFrom(pool, "y").bytes))()];
    // Another page that becomes garbage at the same time proves that the collector did look.
    ((): void => void stolenFrom(pool, "garbage"))();
    await stolenCollected(pool, 1);
    await collectThoroughly();
    assert.equal(pool.stats().stolen, 1, "still out");
    churn(pool);
    const [view] = views;
    assert(view !== undefined);
    const seen = Buffer.from(view.buffer, view.byteOffset, view.byteLength);
    assert(
      seen.every((byte) => byte === 121),
      "and its bytes are what they were",
    );
  });
}

test("and it does come back when the last of several views is garbage", async () => {
  const pool = new JumboPool({ pagesMax: PAGES });
  const views = ((): Buffer[] => {
    const { bytes } = stolenFrom(pool, "z");
    return [bytes.subarray(0, 1), bytes.subarray(1, 2)];
  })();
  for (const left of [1, 0]) {
    collectGarbage();
    assert.equal(pool.stats().stolen, 1);
    views.pop();
    if (left > 0) await collectThoroughly();
  }
  await stolenCollected(pool, 1);
});

test("a page given back by its owner is not given back again by the collector", async () => {
  const pool = new JumboPool({ pagesMax: PAGES, stolenMax: 1 });
  ((): void => stolenFrom(pool, "a").release())();
  const second = stolenFrom(pool, "b"); // the same place in the books
  await collectThoroughly();
  assert.equal(pool.stats().stolenCollected, 0);
  assert.equal(pool.stats().stolen, 1);
  assert.equal(second.bytes.toString("latin1", 0, 1), "b");
});

test("zeroOnRelease holds for a stolen page too: who gets the memory next does not see its bytes", () => {
  const pool = new JumboPool({ pagesMax: 1, stolenMax: 1, zeroOnRelease: true });
  for (let round = 0; round < 4; round++) {
    const page = allocated(pool);
    assert(
      page.bytes.every((byte) => byte === 0),
      `round ${round}`,
    );
    page.bytes.fill("secret");
    page.steal().release();
  }
});

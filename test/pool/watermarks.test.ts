/**
 * Shows that pressure has hysteresis, that listeners hear of it in a microtask and never inside `alloc` or `release`, and that
 * they hear nothing of a pressure that was over before they could.
 *
 * Receivers stop reading on pressure and go on at relief: a pool that flutters would make them flutter.
 */
import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";
import { JumboPool } from "../../src/index.ts";
import type { Page } from "../../src/index.ts";

const PAGES = 8;
const LOW = 2;
const HIGH = 5;

let pool: JumboPool;
let told: string[];

beforeEach(() => {
  pool = new JumboPool({ pagesMax: PAGES, watermarks: { lowPages: LOW, highPages: HIGH } });
  told = [];
  pool.onPressure(() => told.push("pressure"));
  pool.onRelief(() => told.push("relief"));
});

function take(count: number): Page[] {
  const pages: Page[] = [];
  assert.equal(pool.allocMany(pages, count), count);
  return pages;
}

describe("pressure", () => {
  test("begins when fewer than lowPages are available, and ends when highPages are again", () => {
    const pages = take(PAGES - LOW);
    assert.equal(pool.availablePages, LOW);
    assert.equal(pool.isUnderPressure, false, "lowPages are enough");
    pages.push(...take(1));
    assert.equal(pool.isUnderPressure, true);
    while (pool.availablePages < HIGH - 1) {
      pages.pop()?.release();
      assert.equal(pool.isUnderPressure, true, `${pool.availablePages} are not enough to go on`);
    }
    pages.pop()?.release();
    assert.equal(pool.isUnderPressure, false);
    assert.equal(pool.stats().pressures, 1);
  });

  test("does not flutter when pages come and go around the low mark", async () => {
    const pages = take(PAGES - LOW + 1);
    for (let round = 0; round < 10; round++) {
      pages.pop()?.release();
      pages.push(...take(1));
      await Promise.resolve();
    }
    assert.deepEqual(told, ["pressure"]);
    assert.equal(pool.stats().pressures, 1);
  });

  test("begins with an allocation that was refused, however the marks are", () => {
    pool = new JumboPool({ pagesMax: 2, watermarks: { lowPages: 1, highPages: 1 } });
    const pages = take(2);
    assert.equal(pool.alloc(), null);
    assert.equal(pool.isUnderPressure, true);
    pages[0]?.release();
    assert.equal(pool.isUnderPressure, false);
  });

  test("a stolen page relieves as a released one does", () => {
    const pages = take(PAGES);
    while (pool.availablePages < HIGH) pages.pop()?.steal();
    assert.equal(pool.isUnderPressure, false);
  });
});

describe("listeners", () => {
  test("are called in a microtask, not inside alloc and release", async () => {
    const pages = take(PAGES);
    assert.deepEqual(told, []);
    await Promise.resolve();
    assert.deepEqual(told, ["pressure"]);
    for (const page of pages) page.release();
    assert.deepEqual(told, ["pressure"]);
    await Promise.resolve();
    assert.deepEqual(told, ["pressure", "relief"]);
  });

  test("hear nothing of a change that was undone before they could", async () => {
    for (const page of take(PAGES)) page.release();
    await Promise.resolve();
    assert.deepEqual(told, []);
    assert.equal(pool.stats().pressures, 1, "but it is counted");

    const pages = take(PAGES);
    await Promise.resolve();
    for (const page of pages.splice(0)) page.release();
    pages.push(...take(PAGES));
    await Promise.resolve();
    assert.deepEqual(told, ["pressure"]);
  });

  test("end with the function that subscribing returned; each subscription is its own", async () => {
    let calls = 0;
    const listener = (): void => void calls++;
    const [endFirst] = [pool.onPressure(listener), pool.onPressure(listener)];
    endFirst();
    endFirst();
    take(PAGES);
    await Promise.resolve();
    assert.equal(calls, 1);
  });

  test("may take and release pages", async () => {
    const held = take(PAGES);
    let wasCalled = false;
    pool.onPressure(() => {
      wasCalled = true;
      for (const page of held.splice(0)) page.release();
    });
    await Promise.resolve();
    assert.equal(wasCalled, true);
    await Promise.resolve();
    assert.deepEqual(told, ["pressure", "relief"]);
    pool.verify();
  });
});

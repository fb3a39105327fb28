/** Shows how many pages a read is given: more for bulk, one for messages, and no more asking where the pool is scattered. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ReadSize } from "../../src/tcp/read-size.ts";

const PAGE = 4096;

test("full reads double it, up to the limit; reads that leave most of the region halve it, down to a page", () => {
  const size = new ReadSize(6);
  const seen: number[] = [];
  for (let i = 0; i < 4; i++) {
    seen.push(size.pages);
    size.got(size.pages);
    size.read(size.pages * PAGE, size.pages * PAGE);
  }
  assert.deepEqual(seen, [1, 2, 4, 6]);
  size.read(3 * PAGE, 6 * PAGE);
  assert.equal(size.pages, 6, "half full is neither");
  for (const expected of [3, 1, 1]) {
    size.read(10, size.pages * PAGE);
    assert.equal(size.pages, expected);
  }
});

test("a pool with single pages is asked for runs ever more rarely, and never not at all", () => {
  const size = new ReadSize(128);
  let asked = 0;
  for (let i = 0; i < 20_000; i++) {
    if (size.pages > 1) asked++;
    size.got(1);
    size.read(PAGE, PAGE);
  }
  assert(asked > 200 && asked < 2_000, `asked ${asked} times in 20,000 reads`);
});

test("one run that comes out short changes nothing", () => {
  const size = new ReadSize(8);
  for (let i = 0; i < 4; i++) {
    size.got(size.pages);
    size.read(size.pages * PAGE, size.pages * PAGE);
  }
  size.got(2);
  size.read(2 * PAGE, 2 * PAGE);
  assert.equal(size.pages, 8);
});

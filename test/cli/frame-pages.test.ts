/**
 * Shows: bytes that are copied and bytes that are appended come out in order, however small the pool is and in whichever order pieces are
 * let go; between batches nothing is held; and when there is no page memory stands in, which whoever adds is told to wait for.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { FramePages } from "../../src/cli/frame-pages.ts";
import { Mbuf } from "../../src/mbuf/mbuf.ts";
import { poolFor } from "../support/at-rest.ts";
import { isPattern, pattern } from "../support/pattern.ts";
import { Random } from "../support/random.ts";

const PAGE_BYTES = 4096;

test("random pieces, taken and let go at random, are the bytes that were put in", (t) => {
  for (let seed = 1; seed <= 40; seed++) {
    const random = new Random(seed);
    const pool = poolFor(t, { pageSizeBytes: PAGE_BYTES, pagesMax: random.int(1, 4) });
    const pages = new FramePages(pool);
    const held: { readonly mbuf: Mbuf; readonly offset: number }[] = [];
    let [putIn, takenOut] = [0, 0];
    const letGo = (): void => {
      const [piece] = held.splice(random.int(0, held.length - 1), 1);
      if (piece === undefined) return;
      assert.ok(isPattern(piece.mbuf.bytes, piece.offset), `seed ${seed}: nothing is overwritten while it is held`);
      piece.mbuf.endBorrow();
    };
    for (let step = 0; step < 300; step++) {
      const length = random.int(1, 2200);
      const bytes = pattern(putIn, length);
      if (random.chance(0.2)) {
        const own = { bytes: Buffer.from(bytes), hold: (): void => {}, release: (): void => {} };
        pages.append(new Mbuf(own, 0, length));
      } else pages.copy(bytes);
      putIn += length;
      if (random.chance(0.3)) {
        for (const mbuf of pages.take()) {
          held.push({ mbuf, offset: takenOut });
          takenOut += mbuf.length;
        }
        assert.equal(takenOut, putIn, `seed ${seed}: nothing stays behind`);
      }
      while (held.length > 0 && random.chance(0.5)) letGo();
    }
    for (const mbuf of pages.take()) mbuf.endBorrow();
    while (held.length > 0) letGo();
    assert.equal(pool.stats().inUse, 0, `seed ${seed}: it holds nothing itself`);
    assert.equal(pages.standIn, null, `seed ${seed}: nothing stands in for a page any more`);
  }
});

test("pieces of several batches share a page, which goes back with the last of them", (t) => {
  const pool = poolFor(t, { pageSizeBytes: PAGE_BYTES, pagesMax: 4 });
  const pages = new FramePages(pool);
  pages.copy(pattern(0, 100));
  const [first] = pages.take();
  pages.copy(pattern(100, 100));
  const [second] = pages.take();
  assert.deepEqual([pool.stats().inUse, pool.stats().taken], [1, 1]);
  first?.endBorrow();
  assert.equal(pool.stats().inUse, 1);
  assert.ok(second !== undefined && isPattern(second.bytes, 100));
  second.endBorrow();
  assert.equal(pool.stats().inUse, 0);
  pages.copy(pattern(0, 100)); // the page it remembers is somebody else's now
  for (const mbuf of pages.take()) mbuf.endBorrow();
  assert.equal(pool.stats().taken, 2);
});

test("without a page memory stands in, until the last piece in it is let go", async (t) => {
  const pool = poolFor(t, { pageSizeBytes: PAGE_BYTES, pagesMax: 1 });
  const page = pool.alloc();
  const pages = new FramePages(pool);
  for (let i = 0; i < 3; i++) pages.copy(pattern(i * 3000, 3000));
  const pieces = pages.take();
  assert.equal(pieces.length, 3);
  const { standIn } = pages;
  assert.ok(standIn !== null);
  let isOver = false;
  void standIn.then(() => (isOver = true));
  for (const [index, piece] of pieces.entries()) {
    await Promise.resolve();
    assert.equal(isOver, false, `before piece ${index} is let go`);
    assert.ok(isPattern(piece.bytes, index * 3000));
    piece.endBorrow();
  }
  await standIn;
  assert.equal(pages.standIn, null);
  page?.release();
});

/**
 * Shows that small pieces share a page, that a page whose last piece was let go is never written to again, and that an empty
 * piece is a piece like any other.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { PageFiller } from "../../src/mbuf/page-filler.ts";
import { poolFor } from "../support/at-rest.ts";

test("pieces lie side by side in one page, and the next page comes when one does not fit", (t) => {
  const pool = poolFor(t, { pageSizeBytes: 4096 });
  const filler = PageFiller.of(pool);
  const pieces = [1000, 2000, 1000, 200].map((length, index) => filler.copy(Buffer.alloc(length, index + 1)));
  assert.equal(pool.stats().inUse, 2);
  for (const [index, piece] of pieces.entries()) {
    assert(piece !== null && piece.bytes.every((byte) => byte === index + 1));
    piece.release();
  }
  assert.equal(pool.stats().inUse, 0);
});

test("an empty piece, also after the page of the last one went back", (t) => {
  const pool = poolFor(t);
  const filler = PageFiller.of(pool);
  for (const text of ["", "a", "", "b"]) {
    const piece = filler.copy(Buffer.from(text));
    assert(piece !== null, "there are pages");
    assert.equal(piece.bytes.toString(), text);
    piece.release();
    assert.equal(pool.stats().inUse, 0);
  }
});

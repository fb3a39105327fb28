/**
 * Shows that the control block is laid out as its picture says: header, counters and pages follow one another without overlap,
 * aligned for their views, and a block is exactly as long as its pages need.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import * as layout from "../../src/memory/layout.ts";

const INT32_BYTES = 4;
const FLOAT64_BYTES = 8;

test("header, counters and pages follow one another", () => {
  const headerEnd = (Math.max(...Object.values(layout.WORD)) + 1) * INT32_BYTES;
  const { byteOffset, length } = layout.COUNTERS;
  assert(headerEnd <= byteOffset, "the header ends before the counters begin");
  assert.equal(
    layout.PAGE_FIRST_WORD * INT32_BYTES,
    byteOffset + length * FLOAT64_BYTES,
    "pages begin where the counters end",
  );
  assert(Object.keys(layout.COUNTER).length <= length, "each counter has its place");
  assert.equal(byteOffset % FLOAT64_BYTES, 0);
});

test("no two names share a word", () => {
  for (const names of [layout.WORD, layout.COUNTER, layout.STATE]) {
    assert.equal(new Set(Object.values(names)).size, Object.keys(names).length);
  }
  const fields = [layout.PAGE_STATE, layout.PAGE_HOLDS, layout.PAGE_GENERATION, layout.PAGE_NEXT];
  assert.deepEqual(new Set(fields), new Set([0, 1, 2, 3]));
  assert.equal(layout.PAGE_WORDS, fields.length);
});

test("a block is as long as its pages need, and a page's words never straddle a cache line", () => {
  assert.equal(layout.controlBytes(0), layout.PAGE_FIRST_WORD * INT32_BYTES);
  for (const pages of [1, 2, 3072, 1_048_576]) {
    assert.equal(layout.controlBytes(pages) - layout.controlBytes(pages - 1), layout.PAGE_WORDS * INT32_BYTES);
  }
  assert.equal((layout.PAGE_FIRST_WORD * INT32_BYTES) % (layout.PAGE_WORDS * INT32_BYTES), 0);
});

test("a block that is all zero is a pool of uncommitted pages, and generations stay in an Int32", () => {
  assert.equal(layout.STATE.uncommitted, 0);
  assert(layout.GENERATION_MASK >>> 0 === (layout.GENERATION_MASK | 0), "never negative: -1 matches no generation");
  assert.notEqual(layout.NIL & layout.GENERATION_MASK, layout.NIL);
  assert.equal(layout.HOLDS_MAX | 0, layout.HOLDS_MAX);
});

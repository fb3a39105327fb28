/** Shows that joined views have the same bytes, in as few pieces as lie apart in memory. */
import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { joinViews } from "../../src/mbuf/join-views.ts";

test("views of one memory become one where they lie side by side, and only there", () => {
  const bytes = Buffer.from("abcdefghij");
  const parts = [bytes.subarray(0, 2), bytes.subarray(2, 5), bytes.subarray(6, 8), bytes.subarray(8, 10)];
  assert.deepEqual(joinViews(parts).map(String), ["abcde", "ghij"]);
  assert.deepEqual(joinViews([bytes.subarray(2, 4), bytes.subarray(0, 2)]).map(String), ["cd", "ab"], "not backwards");
  assert.deepEqual(
    joinViews([bytes.subarray(0, 2), bytes.subarray(1, 3)]).map(String),
    ["ab", "bc"],
    "not overlapping",
  );
  assert.deepEqual(joinViews([]), []);
});

test("equal offsets in different memories are not side by side", () => {
  const [a, b] = [Buffer.alloc(8, "a"), Buffer.alloc(8, "b")];
  const parts = [
    Buffer.from(a.buffer, a.byteOffset, 8),
    Buffer.from(new ArrayBuffer(32), a.byteOffset % 16 < 8 ? 8 : 0, 8),
    b,
  ];
  assert.equal(Buffer.concat(joinViews(parts)).compare(Buffer.concat(parts)), 0);
  const [one, other] = [Buffer.from(new ArrayBuffer(8), 0, 4), Buffer.from(new ArrayBuffer(8), 4, 4)];
  assert.equal(joinViews([one, other]).length, 2);
});

test("any cuts of any memories: the same bytes, and no two neighbours that could be one", () => {
  const memories = [Buffer.from(new SharedArrayBuffer(64)), Buffer.from(new ArrayBuffer(64))];
  for (const memory of memories) for (let i = 0; i < 64; i++) memory[i] = i;
  const view = fc
    .tuple(fc.nat(1), fc.nat(63), fc.integer({ min: 1, max: 8 }))
    .map(([which, start, length]) => (memories[which] ?? Buffer.alloc(0)).subarray(start, start + length));
  fc.assert(
    fc.property(fc.array(view), (views) => {
      const joined = joinViews(views);
      assert.deepEqual(Buffer.concat(joined), Buffer.concat(views));
      for (const [index, next] of joined.slice(1).entries()) {
        const before = joined[index];
        assert(before?.buffer !== next.buffer || before.byteOffset + before.length !== next.byteOffset);
      }
    }),
  );
});

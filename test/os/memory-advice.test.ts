/**
 * Shows that memory given back to the system reads as zero afterwards, that ranges which are not whole system pages are refused so
 * that no neighbour loses a byte, and that without system calls there is a reason and nothing else.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Arena } from "../../src/memory/arena.ts";
import { loadLibc } from "../../src/os/libc.ts";
import { loadMemoryAdvice, whyNoMemoryAdvice } from "../../src/os/memory-advice.ts";

const found = loadMemoryAdvice();
const skip = found.advice === null && `no memory advice: ${found.reason}`;

test("either there is advice, or there is a reason", () => {
  assert.equal(loadMemoryAdvice(), found, "asked once for a process");
  if (found.advice === null) assert.equal(whyNoMemoryAdvice(), found.reason);
  else assert.equal(whyNoMemoryAdvice(), null);
});

test("discard gives a range back and leaves its neighbours", { skip }, () => {
  assert(found.advice !== null);
  const { systemPageBytes, discard } = found.advice;
  assert(systemPageBytes >= 4096 && Number.isInteger(Math.log2(systemPageBytes)));
  const arena = new Arena(65_536, 4);
  arena.commit(4);
  for (let number = 0; number < 4; number++) arena.bytesOf(number).fill(number + 1);
  assert.equal(discard(arena.rangeOf(1, 2)), true);
  assert.deepEqual(
    [0, 1, 2, 3].map((number) => new Set(arena.bytesOf(number)).values().next().value),
    [1, 0, 0, 4],
  );
  for (const number of [0, 1, 2, 3]) assert.equal(new Set(arena.bytesOf(number)).size, 1);
});

test("discard refuses what is not whole pages of the system, with nothing changed", { skip }, () => {
  assert(found.advice !== null);
  const { systemPageBytes, discard } = found.advice;
  const arena = new Arena(65_536, 2);
  arena.commit(2);
  const all = arena.rangeOf(0, 2).fill(9);
  assert.equal(discard(all.subarray(0, 0)), false, "nothing");
  assert.equal(discard(all.subarray(0, systemPageBytes - 1)), false, "less than a page");
  assert.equal(discard(all.subarray(0, systemPageBytes + 1)), false, "more than a page");
  assert.equal(discard(all.subarray(1, systemPageBytes + 1)), false, "across two pages");
  assert(all.every((byte) => byte === 9));
});

test("errno is that of the last call", { skip }, () => {
  const loaded = loadLibc();
  assert(loaded.libc !== null);
  const close = loaded.libc.func("int close(int fd)");
  assert.equal(close(-1), -1);
  assert.equal(loaded.libc.errno(), 9); // EBADF
});

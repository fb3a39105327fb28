/**
 * Shows that an arena reserves at once and commits in place: no view is invalidated, no page overlaps another, pages that are not
 * committed are not to be seen, and a refusal by the system changes nothing.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ARENA_BYTES_MAX, Arena } from "../../src/memory/arena.ts";
import { collecting, collectionOf } from "../pool/collected.ts";

const PAGE_BYTES = 4096;

test("commits in place, in whole WebAssembly pages, and only what is missing", () => {
  const arena = new Arena(PAGE_BYTES, 100);
  assert.equal(arena.committedBytes, 0);
  assert.equal(arena.commit(1), true);
  assert.equal(arena.committedBytes, 65_536);
  const first = arena.bytesOf(0);
  first.fill("a");
  assert.equal(arena.commit(16), true);
  assert.equal(arena.committedBytes, 65_536, "16 pages of 4 KiB were there already");
  assert.equal(arena.commit(100), true);
  assert.equal(arena.committedBytes, 7 * 65_536);
  arena.bytesOf(99).fill("b");
  assert.equal(arena.bytesOf(0), first, "the view of before");
  assert(first.every((byte) => byte === 97));
});

test("pages lie side by side", () => {
  const arena = new Arena(PAGE_BYTES, 3);
  arena.commit(3);
  const [a, b, c] = [0, 1, 2].map((number) => arena.bytesOf(number).fill(number + 1));
  assert(a && b && c);
  assert(a.every((byte) => byte === 1) && b.every((byte) => byte === 2) && c.every((byte) => byte === 3));
  assert.deepEqual(Buffer.from(arena.rangeOf(1, 2)), Buffer.concat([b, c]));
});

test("a page that is not committed is not to be seen", () => {
  const arena = new Arena(PAGE_BYTES, 17);
  assert.throws(() => arena.bytesOf(0), /committed before it is seen/);
  arena.commit(1);
  assert.throws(() => arena.bytesOf(16), /committed before it is seen/);
  assert.throws(() => arena.commit(18), /never grows past its reservation/);
});

test("an arena is 4 GiB at most", () => {
  assert.equal(ARENA_BYTES_MAX, 2 ** 32);
  assert.throws(() => new Arena(65_536, 65_537), /one WebAssembly memory/);
  assert.equal(new Arena(65_536, 65_536).committedBytes, 0);
});

test("all of 4 GiB can be committed, and the last byte be written", () => {
  const arena = new Arena(65_536, 65_536);
  assert.equal(arena.commit(65_536), true);
  assert.equal(arena.committedBytes, ARENA_BYTES_MAX);
  const last = arena.bytesOf(65_535);
  last[65_535] = 7;
  assert.equal(last.byteOffset + last.length, ARENA_BYTES_MAX);
  assert.equal(arena.bytesOf(65_534)[65_535], 0);
});

test("a refusal by the system is false, with nothing changed", () => {
  const arena = new Arena(PAGE_BYTES, 100);
  arena.commit(1);
  const before = arena.bytesOf(0).fill(1);
  const { prototype } = (globalThis as unknown as { WebAssembly: { Memory: { prototype: { grow: unknown } } } })
    .WebAssembly.Memory;
  const { grow } = prototype;
  prototype.grow = (): never => {
    throw new RangeError("WebAssembly.Memory.grow(): Unable to grow instance memory");
  };
  try {
    assert.equal(arena.commit(100), false);
    assert.equal(arena.committedBytes, 65_536);
    assert.equal(arena.commit(16), true, "what is there already needs no system");
    assert(before.every((byte) => byte === 1));
  } finally {
    prototype.grow = grow;
  }
  assert.equal(arena.commit(100), true, "and it works again later");
});

test("private bytes are the same memory under an object of their own", async () => {
  const arena = new Arena(PAGE_BYTES, 2);
  arena.commit(2);
  const ours = arena.privateBytesOf(1);
  assert.notEqual(ours.buffer, arena.bytesOf(1).buffer);
  assert.notEqual(ours.buffer, arena.privateBytesOf(1).buffer);
  ours.fill("x");
  assert.equal(arena.bytesOf(1).toString("latin1", 0, 2), "xx");
  const forgotten = ((): Promise<void> => collectionOf(arena.privateBytesOf(0).buffer))();
  await collecting(forgotten, "nothing but views keeps the object alive, not even the arena");
});

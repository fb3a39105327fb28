/**
 * Shows that bytes are put where they belong whether pages are flipped or copied; that pages are flipped only if every condition of zero_copy(9)
 * holds (each is negated in turn, with the same bytes); and that nothing of a flip is seen by anybody else.
 */
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { zeroCopy } from "../../src/delivery/index.ts";
import { putSegments } from "../../src/delivery/place-in.ts";
import { Mbuf } from "../../src/mbuf/index.ts";
import type { JumboPool } from "../../src/index.ts";
import { poolFor } from "../support/at-rest.ts";
import { isPattern, pattern } from "../support/pattern.ts";

declare const WebAssembly: {
  Memory: new (limits: { initial: number; maximum?: number; shared?: boolean }) => { readonly buffer: ArrayBuffer };
};

const noFlip = zeroCopy.reason ?? false;
afterEach(() => {
  zeroCopy.receive = true;
  zeroCopy.flipMinBytes = null;
});

/** Memory of a WebAssembly module. */
function wasmMemory(bytes: number, isShared = false): Uint8Array {
  const pages = Math.ceil(bytes / 65_536);
  return new Uint8Array(new WebAssembly.Memory({ initial: pages, maximum: pages, shared: isShared }).buffer);
}

/** An mbuf over `length` bytes of a page of its own, from `offset` on, filled with the pattern from `at` on. */
function mbufOf(pool: JumboPool, at: number, length: number, offset = 0): Mbuf {
  const page = pool.alloc();
  assert.ok(page);
  page.bytes.set(pattern(at, length), offset);
  return new Mbuf(page, offset, length);
}

function put(mbufs: readonly Mbuf[], target: Uint8Array): number {
  return putSegments(
    mbufs.map((mbuf) => mbuf.segment()),
    target,
  );
}

type Change = Partial<{
  isOff: boolean;
  isShort: boolean;
  isShared: boolean;
  isPlainMemory: boolean;
  targetOffset: number;
  isSlowToFlip: boolean;
}>;

/** Puts one page into a target under the best conditions but for `change`. How many pages were flipped; the bytes are checked. */
function flippedUnder(pool: JumboPool, change: Change): number {
  zeroCopy.receive = change.isOff !== true;
  zeroCopy.flipMinBytes = change.isSlowToFlip === true ? pool.pageSizeBytes + 1 : 0;
  const length = pool.pageSizeBytes - (change.isShort === true ? 1 : 0);
  const mbuf = mbufOf(pool, 0, length);
  const { storage } = mbuf.segment();
  if (change.isShared === true) storage.hold();
  const memory = change.isPlainMemory === true ? new Uint8Array(262_144) : wasmMemory(262_144);
  memory.fill(0xee);
  const at = change.targetOffset ?? 65_536;
  const before = zeroCopy.flipped;
  assert.equal(put([mbuf], memory.subarray(at)), length);
  assert.ok(isPattern(memory.subarray(at, at + length), 0), "the bytes are the same");
  assert.ok(
    memory.subarray(0, at).every((byte) => byte === 0xee),
    "before it nothing is changed",
  );
  assert.ok(
    memory.subarray(at + length).every((byte) => byte === 0xee),
    "behind it nothing is changed",
  );
  if (change.isShared === true) {
    assert.ok(isPattern(mbuf.bytes, 0), "who shares the page sees it as it was");
    storage.release();
  }
  mbuf.release();
  return zeroCopy.flipped - before;
}

for (const pageSizeBytes of [4096, 65_536]) {
  test(
    `a page of ${pageSizeBytes} is flipped when every condition holds, and copied when one does not`,
    { skip: noFlip },
    (t) => {
      const pool = poolFor(t, { pageSizeBytes, pagesMax: 64 });
      assert.equal(flippedUnder(pool, {}), 1);
      const negated: readonly Change[] = [
        { isOff: true },
        { isShort: true },
        { isShared: true },
        { isPlainMemory: true },
        { targetOffset: 65_537 },
        { isSlowToFlip: true },
      ];
      for (const change of negated) assert.equal(flippedUnder(pool, change), 0, JSON.stringify(change));
      assert.equal(flippedUnder(pool, {}), 1);
    },
  );
}

test(
  "8948 bytes in pages of 4096: two flips and a copy of 756, and the next aligned piece flips",
  { skip: noFlip },
  (t) => {
    const pool = poolFor(t, { pageSizeBytes: 4096, pagesMax: 64 });
    zeroCopy.flipMinBytes = 0;
    const mbufs = [mbufOf(pool, 0, 4096), mbufOf(pool, 4096, 4096), mbufOf(pool, 8192, 756), mbufOf(pool, 0, 4096)];
    const target = wasmMemory(65_536);
    const [flipped, copied, stolen] = [zeroCopy.flipped, zeroCopy.copied, zeroCopy.stolen];
    assert.equal(put(mbufs.slice(0, 3), target), 8948);
    assert.deepEqual([zeroCopy.flipped - flipped, zeroCopy.copied - copied, zeroCopy.stolen - stolen], [2, 756, 2]);
    assert.equal(put(mbufs.slice(3), target.subarray(12_288)), 4096);
    assert.equal(zeroCopy.flipped - flipped, 3);
    assert.ok(isPattern(target.subarray(0, 8948), 0) && isPattern(target.subarray(12_288, 16_384), 0));
    for (const mbuf of mbufs) mbuf.release();
  },
);

test(
  "a flip is an exchange: the page has what the target had, and its next tenant is not seen in the target",
  { skip: noFlip },
  (t) => {
    const pool = poolFor(t, { pageSizeBytes: 65_536, pagesMax: 1 });
    zeroCopy.flipMinBytes = 0;
    const target = wasmMemory(262_144).fill(0xee);
    for (let i = 0; i < 4; i++) {
      const mbuf = mbufOf(pool, i * 65_536, 65_536);
      put([mbuf], target.subarray(i * 65_536));
      assert.ok(mbuf.bytes.every((byte) => byte === 0xee));
      mbuf.release();
    }
    assert.ok(isPattern(target, 0));
  },
);

test("pages side by side are flipped as one stretch", { skip: noFlip }, (t) => {
  const pool = poolFor(t, { pageSizeBytes: 4096, pagesMax: 16 });
  zeroCopy.flipMinBytes = 4 * 4096;
  const pages = Array.from({ length: 4 }, () => pool.alloc()).toSorted((a, b) => (a?.number ?? 0) - (b?.number ?? 0));
  const mbufs = pages.map((page, index) => {
    assert.ok(page);
    page.bytes.set(pattern(index * 4096, 4096));
    return new Mbuf(page, 0, 4096);
  });
  const target = wasmMemory(65_536);
  const before = zeroCopy.flipped;
  put(mbufs, target);
  assert.equal(zeroCopy.flipped - before, 4);
  assert.ok(isPattern(target.subarray(0, 16_384), 0));
  for (const mbuf of mbufs) mbuf.release();
});

test(
  "what the kernel refuses, because it lies in two mappings, is copied; after a while it is tried again",
  { skip: noFlip },
  (t) => {
    const pool = poolFor(t, { pageSizeBytes: 4096, pagesMax: 16 });
    zeroCopy.flipMinBytes = 0;
    const target = wasmMemory(65_536);
    const flippedBy = (pages: number, at: number): number => {
      const before = zeroCopy.flipped;
      const held = Array.from({ length: pages }, () => pool.alloc()).toSorted(
        (a, b) => (a?.number ?? 0) - (b?.number ?? 0),
      );
      const mbufs = held.map((page, index) => {
        assert.ok(page);
        page.bytes.set(pattern(at + index * 4096, 4096));
        return new Mbuf(page, 0, 4096);
      });
      put(mbufs, target.subarray(at));
      assert.ok(isPattern(target.subarray(at, at + pages * 4096), at));
      for (const mbuf of mbufs) mbuf.release();
      return zeroCopy.flipped - before;
    };
    assert.equal(flippedBy(1, 8192), 1); // cuts the target's mapping in three
    assert.equal(flippedBy(4, 0), 0);
    let untried = 0;
    while (flippedBy(1, 32_768) === 0) untried++;
    assert.equal(untried, 4 * 16);
  },
);

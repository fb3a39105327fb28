/**
 * Shows that `moveInto()` puts the bytes of a chain into a target, whole pages by a flip, and that the chain keeps exactly what did not fit; and that its
 * pages are back in their pool.
 */
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { moveInto, zeroCopy } from "../../src/delivery/index.ts";
import { Mbuf, MbufChain } from "../../src/mbuf/index.ts";
import { withCode } from "../pool/with-code.ts";
import { poolFor } from "../support/at-rest.ts";
import { isPattern, pattern } from "../support/pattern.ts";
import { Random } from "../support/random.ts";

declare const WebAssembly: {
  Memory: new (limits: { initial: number }) => { readonly buffer: ArrayBuffer };
};

afterEach(() => {
  zeroCopy.flipMinBytes = null;
});

test(
  "a header is parsed in the page, the whole pages behind it are flipped",
  { skip: zeroCopy.reason ?? false },
  (t) => {
    zeroCopy.flipMinBytes = 0;
    const pool = poolFor(t, { pageSizeBytes: 65_536, pagesMax: 8 });
    const chain = new MbufChain();
    for (let i = 0; i < 3; i++) {
      const page = pool.alloc();
      assert.ok(page);
      page.bytes.set(pattern(i * 65_536, 65_536));
      const mbuf = new Mbuf(page, 0, 65_536);
      chain.append(mbuf);
      mbuf.release();
    }
    chain.trimStart(65_536);
    const target = new Uint8Array(new WebAssembly.Memory({ initial: 4 }).buffer);
    const { flipped, copied } = zeroCopy;
    assert.equal(moveInto(target.subarray(65_536), chain), 131_072);
    assert.deepEqual([zeroCopy.flipped - flipped, zeroCopy.copied - copied], [2, 0]);
    assert.ok(isPattern(target.subarray(65_536, 196_608), 65_536));
    assert.deepEqual([chain.lengthBytes, pool.stats().inUse], [0, 0]);
    chain.release();
    assert.throws(() => moveInto(target, chain), withCode("ERR_JUMBO_CHAIN_RELEASED"));
    assert.throws(() => moveInto("text" as never, chain), withCode("ERR_JUMBO_OPTION_INVALID"));
    assert.throws(() => moveInto(target, target as never), withCode("ERR_JUMBO_OPTION_INVALID"));
  },
);

test("chains of any pieces, into targets of any size: the same bytes, flipped or copied", (t) => {
  for (let seed = 1; seed <= 20; seed++) {
    const random = new Random(seed);
    zeroCopy.flipMinBytes = random.pick([0, 65_536, Infinity]);
    const pool = poolFor(t, { pageSizeBytes: random.pick([4096, 65_536]), pagesMax: 64 });
    const chain = new MbufChain();
    let bytes = 0;
    while (bytes < 600_000 && pool.stats().inUse < 64) {
      const page = pool.alloc();
      assert.ok(page);
      const length = random.chance(0.7) ? pool.pageSizeBytes : random.int(1, pool.pageSizeBytes);
      page.bytes.set(pattern(bytes, length));
      const mbuf = new Mbuf(page, 0, length);
      chain.append(mbuf);
      mbuf.release();
      bytes += length;
    }
    const memory = new Uint8Array(new WebAssembly.Memory({ initial: 16 }).buffer);
    for (let at = 0; at < bytes;) {
      const start = random.chance(0.5) ? random.int(0, 10) * 4096 : random.int(0, 100_000);
      const target = memory.subarray(start, start + random.int(1, 400_000));
      const count = moveInto(target, chain);
      assert.equal(count, Math.min(target.length, bytes - at));
      assert.ok(isPattern(target.subarray(0, count), at), `seed ${seed}: the bytes from ${at} on`);
      at += count;
      assert.equal(chain.lengthBytes, bytes - at);
    }
    chain.release();
  }
});

/**
 * Shows that a chain of 100,000 mbufs neither overflows the stack nor goes quadratic: each way to build it, walk it, search it, cut
 * it up and take it down ends within two seconds of CPU time, where one that looked at every mbuf for every mbuf would take 10^10
 * steps. And every storage is let go.
 */
import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import { Mbuf, MbufChain } from "../../src/mbuf/index.ts";
import type { Storage } from "../../src/mbuf/index.ts";

const COUNT = 100_000;
const CPU_MS_MAX = 2000;
const MBUF_BYTES = 8;

/** A storage for all, that counts; mbufs lie in it apart from each other. */
class Shared implements Storage {
  readonly bytes: Buffer = Buffer.alloc(MBUF_BYTES * 4, "jumbo*/.");
  holds = 0;
  hold(): void {
    this.holds++;
  }
  release(): void {
    this.holds--;
  }
}

const shared = new Shared();
const mbufs = [0, 1].map((which) => new Mbuf(shared, which * 2 * MBUF_BYTES, MBUF_BYTES));

function built(count: number): MbufChain {
  const chain = new MbufChain();
  for (let i = 0; i < count; i++) chain.append(mbufs[i & 1]!);
  assert.equal(chain.segmentCount, count);
  return chain;
}

/** What is done to a chain of `count` mbufs, which is released afterwards. */
const WAYS: Readonly<Record<string, (chain: MbufChain, count: number) => void>> = {
  "append, and release": () => {},
  prepend: (chain, count) => {
    for (let i = 0; i < count; i++) chain.prepend(mbufs[i & 1]!);
  },
  "trimStart, one by one": (chain, count) => {
    for (let i = 0; i < count; i++) chain.trimStart(MBUF_BYTES);
    assert.equal(chain.segmentCount, 0);
  },
  "trimEnd, in halves of mbufs": (chain, count) => {
    for (let i = 0; i < 2 * count; i++) chain.trimEnd(MBUF_BYTES / 2);
    assert.equal(chain.segmentCount, 0);
  },
  "split off the first, and go on with the rest": (chain, count) => {
    let rest = chain;
    for (let i = 0; i < count - 1; i++) {
      const next = rest.split(MBUF_BYTES);
      if (rest !== chain) rest.release();
      rest = next;
    }
    rest.release();
  },
  "split off the last": (chain, count) => {
    for (let i = count - 1; i > 0; i--) chain.split(i * MBUF_BYTES).release();
  },
  "concat of one to all": (chain, count) => {
    for (let i = 0; i < count; i++) {
      using one = new MbufChain().append(mbufs[0]!);
      chain.concat(one);
    }
  },
  "concat of all to one, again and again": (chain, count) => {
    let all = chain;
    for (let i = 0; i < count; i++) {
      const one = new MbufChain().append(mbufs[0]!);
      one.concat(all);
      if (all !== chain) all.release();
      all = one;
    }
    all.release();
  },
  "copyRange anywhere": (chain, count) => {
    for (let i = 0; i < count; i++) chain.copyRange(((i * 7919) % count) * MBUF_BYTES, MBUF_BYTES - 1).release();
  },
  "copyOut anywhere": (chain, count) => {
    const target = Buffer.alloc(MBUF_BYTES);
    for (let i = 0; i < count; i++) assert.equal(chain.copyOut(target, ((i * 7919) % count) * MBUF_BYTES), MBUF_BYTES);
  },
  "cursor to the end, and with seeks": (chain, count) => {
    const cursor = chain.cursor();
    for (let i = 0; i < count; i++) cursor.readBigUInt64BE();
    assert.equal(cursor.remainingBytes, 0);
    for (let i = 0; i < count; i++) cursor.seek(((i * 7919) % count) * MBUF_BYTES).readUInt32BE();
  },
  "a cursor that trims what it has read": (chain, count) => {
    const cursor = chain.cursor();
    for (let i = 0; i < count; i++) {
      cursor.readBigUInt64BE();
      chain.trimStart(cursor.offset);
    }
  },
  "indexOf of what is nowhere, short and long": (chain) => {
    assert.equal(chain.indexOf("ojub"), -1);
    assert.equal(chain.indexOf(`${"jumbo*/.".repeat(1000)}?`), -1);
  },
  "equals, segments, toBuffer": (chain) => {
    using copy = chain.slice();
    assert.equal(chain.equals(copy), true);
    assert.equal(chain.equals(chain.toBuffer()), true);
    assert.equal(Buffer.concat(chain.segments()).length, chain.lengthBytes);
  },
  "pullup of all": (chain) => {
    assert.equal(chain.pullup(chain.lengthBytes)?.length, chain.lengthBytes);
  },
};

for (const [name, way] of Object.entries(WAYS)) {
  test(name, (t) => {
    const before = process.cpuUsage();
    const chain = built(COUNT);
    way(chain, COUNT);
    chain.release();
    const { user, system } = process.cpuUsage(before);
    assert.equal(shared.holds, 0);
    t.diagnostic(`${((user + system) / 1000).toFixed(0)} ms`);
    assert((user + system) / 1000 < CPU_MS_MAX);
  });
}

test("async iteration of 100,000", async () => {
  const chain = built(COUNT);
  let bytes = 0;
  for await (const segment of chain) bytes += segment.length;
  assert.equal(bytes, COUNT * MBUF_BYTES);
  assert.equal(shared.holds, 0);
  chain.release();
});

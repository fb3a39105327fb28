/**
 * Shows: what is held stays as it arrived, whatever else passes through the pool, until it is released; what is not held ends with its borrow, and
 * every use after the end is refused by its code. Small datagrams that are kept share pages, and `stats().held` tells what is pinned.
 */
import assert from "node:assert/strict";
import { setImmediate as turn } from "node:timers/promises";
import { JumboError, JumboPool } from "../../src/index.ts";
import type { HeldDatagram, UdpBatch, UdpDatagram } from "../../src/udp/index.ts";
import { poolFor, until } from "../support/at-rest.ts";
import { isPattern, pattern } from "../support/pattern.ts";
import { Random } from "../support/random.ts";
import { numberOf, numbered, receiverOn, senderTo, withEngines } from "../support/udp.ts";

const RELEASED = { name: "JumboError", code: "ERR_JUMBO_MBUF_RELEASED" };

withEngines("a held datagram has every field, and outlives the batch", async (t, engine) => {
  const pool = poolFor(t);
  const held: HeldDatagram[] = [];
  const receiver = await receiverOn(t, { pool, engine }, (batch) => {
    for (const datagram of batch) held.push(datagram.hold());
  });
  const sender = await senderTo(t, receiver);
  sender.send(pattern(0, 300));
  await until(() => held.length === 1, "it arrives");
  await turn();
  const [one] = held as [HeldDatagram]; // until() says so
  const { address, port, family, length, fullLength, truncated, ecn, localAddress, isReleased } = one;
  assert.deepEqual({ address, port, family }, sender.address());
  assert.deepEqual([length, fullLength, truncated, ecn, localAddress], [300, 300, false, null, null]);
  assert.equal(isReleased, false);
  assert.ok(isPattern(one.bytes, 0) && one.bytes.length === 300);
  const copy = one.copy();
  assert.ok(copy.buffer instanceof ArrayBuffer && isPattern(copy, 0) && copy.length === 300);
  assert.equal(pool.stats().inUse, 1);
  one.release();
  assert.equal(pool.stats().inUse, 0);
  assert.ok(isPattern(copy, 0), "a copy is one's own");
});

withEngines("released twice, or used after its release: refused, and nothing else changes", async (t, engine) => {
  const pool = poolFor(t);
  const held: HeldDatagram[] = [];
  const receiver = await receiverOn(t, { pool, engine }, (batch) => {
    for (const datagram of batch) held.push(datagram.hold(), datagram.hold());
  });
  (await senderTo(t, receiver)).send(pattern(0, 100));
  await until(() => held.length === 2, "it arrives");
  const [one, other] = held as [HeldDatagram, HeldDatagram]; // until() says so
  assert.deepEqual(receiver.stats().held, { datagrams: 2, bytes: 200, pages: 1 });
  one.release();
  assert.ok(one.isReleased);
  assert.throws(() => one.release(), RELEASED);
  assert.throws(() => one.bytes, RELEASED);
  assert.throws(() => one.copy(), RELEASED);
  assert.deepEqual(receiver.stats().held, { datagrams: 1, bytes: 100, pages: 1 });
  assert.ok(isPattern(other.bytes, 0), "somebody else's hold is their own");
  assert.equal(one.length, 100, "what is no memory can be asked for as long as one likes");
  one[Symbol.dispose]();
  other[Symbol.dispose]();
  assert.ok(other.isReleased);
  assert.throws(() => other.release(), RELEASED);
  assert.deepEqual(receiver.stats().held, { datagrams: 0, bytes: 0, pages: 0 });
});

withEngines("`using` releases at the end of the block", async (t, engine) => {
  const pool = poolFor(t);
  let length = 0;
  const receiver = await receiverOn(t, { pool, engine }, async (batch) => {
    for (const datagram of batch) {
      using kept = datagram.hold();
      await turn();
      length += kept.bytes.length;
    }
  });
  (await senderTo(t, receiver)).send("hello");
  await until(() => length === 5 && receiver.stats().held.datagrams === 0, "it was held and let go");
});

withEngines("a batch, its iterator and its datagram after the borrow: refused", async (t, engine) => {
  const pool = poolFor(t);
  const stale: { batch: UdpBatch; datagram: UdpDatagram; iterator: Iterator<UdpDatagram> }[] = [];
  const receiver = await receiverOn(t, { pool, engine }, (batch) => {
    const iterator = batch[Symbol.iterator]();
    const first = iterator.next();
    if (first.done !== true) stale.push({ batch, datagram: first.value, iterator });
  });
  const sender = await senderTo(t, receiver);
  for (let i = 0; i < 3; i++) sender.send("hello");
  await until(() => stale.length > 0, "they arrive");
  for (const { batch, datagram, iterator } of stale) {
    assert.ok(batch.isReleased);
    assert.throws(() => batch[Symbol.iterator](), RELEASED);
    assert.throws(() => [...batch], RELEASED);
    assert.throws(() => iterator.next(), RELEASED);
    assert.throws(() => datagram.bytes, RELEASED);
    assert.throws(() => datagram.hold(), RELEASED);
    assert.throws(() => datagram.copy(), RELEASED);
    assert.throws(() => datagram.address, RELEASED);
    assert.throws(() => datagram.port, RELEASED);
    assert.throws(() => datagram.family, RELEASED);
    assert.throws(() => datagram.truncated, RELEASED);
    assert.throws(() => datagram.fullLength, RELEASED);
    assert.throws(() => datagram.ecn, RELEASED);
    assert.throws(() => datagram.localAddress, RELEASED);
    assert.ok(batch.length > 0, "how many there were can be asked for");
  }
});

withEngines("the datagram of an iteration that is over is the last one", async (t, engine) => {
  const pool = poolFor(t);
  let rounds = 0;
  const receiver = await receiverOn(t, { pool, engine }, (batch) => {
    rounds += batch.length;
    let last: UdpDatagram | null = null;
    let number = -1;
    for (const datagram of batch) {
      last = datagram;
      number = numberOf(datagram.bytes);
    }
    assert.ok(last !== null);
    assert.equal(numberOf(last.bytes), number);
    using held = last.hold();
    assert.equal(numberOf(held.bytes), number);
  });
  const sender = await senderTo(t, receiver);
  for (let i = 0; i < 40; i++) sender.send(numbered(i, 10 + i * 70));
  await until(() => rounds === 40, "a big batch");
  sender.send(numbered(40));
  await until(() => rounds === 41, "and a small one after it");
});

withEngines("held ones keep their content while the pool churns", async (t, engine) => {
  const pool = poolFor(t, { pageSizeBytes: 4096, pagesMax: 200 });
  const random = new Random(3);
  const held: { readonly datagram: HeldDatagram; readonly number: number }[] = [];
  let seen = 0;
  const receiver = await receiverOn(t, { pool, engine }, (batch) => {
    for (const datagram of batch) {
      const number = numberOf(datagram.bytes);
      seen++;
      if (random.chance(0.2)) held.push({ datagram: datagram.hold(), number });
    }
    while (held.length > 60) held.splice(random.int(0, held.length - 1), 1)[0]?.datagram.release();
    for (const { datagram, number } of held) assert.equal(numberOf(datagram.bytes), number);
  });
  const sender = await senderTo(t, receiver);
  for (let sent = 0; sent < 3000;) {
    const count = random.int(1, 40);
    for (let i = 0; i < count; i++) sender.send(numbered(sent + i, random.int(4, random.chance(0.3) ? 4096 : 300)));
    sent += count;
    await until(
      () => seen + receiver.stats().kernelDrops + receiver.stats().dropped >= sent,
      () => `${seen} of ${sent}`,
    );
  }
  assert.equal(receiver.stats().held.datagrams, held.length);
  for (const { datagram, number } of held.splice(0)) {
    assert.equal(numberOf(datagram.bytes), number);
    datagram.release();
  }
  assert.deepEqual(receiver.stats().held, { datagrams: 0, bytes: 0, pages: 0 });
});

for (const [length, pagesMost] of [
  [100, 4],
  [1400, 8],
] as const)
  withEngines(
    `100 datagrams of ${length} bytes that come one at a time and are all held share pages`,
    async (t, engine) => {
      const pool = poolFor(t, { pageSizeBytes: 65_536 });
      const held: HeldDatagram[] = [];
      const receiver = await receiverOn(t, { pool, engine }, (batch) => {
        for (const datagram of batch) held.push(datagram.hold());
      });
      const sender = await senderTo(t, receiver);
      for (let i = 0; i < 100; i++) {
        sender.send(numbered(i, length));
        await until(() => held.length === i + 1, "it arrives");
      }
      const { datagrams, bytes, pages } = receiver.stats().held;
      assert.deepEqual([datagrams, bytes], [100, 100 * length]);
      assert.ok(pages <= pagesMost, `${pages} pages are pinned`);
      assert.equal(pool.stats().inUse, pages, "and no other");
      for (const [index, { bytes: kept }] of held.entries()) assert.equal(numberOf(kept), index);
      for (const one of held) one.release();
    },
  );

withEngines("to keep one of a batch pins its page only; a copy pins nothing", async (t, engine) => {
  const pool = poolFor(t, { pageSizeBytes: 65_536 });
  const held: HeldDatagram[] = [];
  const copies: Buffer[] = [];
  const receiver = await receiverOn(t, { pool, engine }, (batch) => {
    for (const datagram of batch) {
      copies.push(datagram.copy());
      if (copies.length === 50) held.push(datagram.hold());
    }
  });
  const sender = await senderTo(t, receiver);
  for (let i = 0; i < 100; i++) sender.send(numbered(i, 100));
  await until(() => copies.length === 100, "all of them");
  assert.deepEqual(receiver.stats().held, { datagrams: 1, bytes: 100, pages: 1 });
  assert.equal(pool.stats().inUse, 1);
  for (const [index, copy] of copies.entries()) assert.equal(numberOf(copy), index);
  assert.equal(numberOf(held[0]?.bytes ?? Buffer.alloc(0)), 49);
  held[0]?.release();
});

withEngines("of a pool that was closed by force, what is held is nobody else's, and gone", async (t, engine) => {
  const pool = new JumboPool({ idleTrimMs: 0 });
  const held: HeldDatagram[] = [];
  const receiver = await receiverOn(t, { pool, engine }, (batch) => {
    for (const datagram of batch) held.push(datagram.hold());
  });
  receiver.on("error", () => {}); // the pool's end is told here
  (await senderTo(t, receiver)).send("hello");
  await until(() => held.length === 1, "it arrives");
  pool.close({ force: true });
  const [one] = held as [HeldDatagram]; // until() says so
  try {
    assert.equal(one.bytes.toString(), "hello", "a view that was made before");
  } catch (error) {
    assert.ok(error instanceof JumboError && error.code === "ERR_JUMBO_PAGE_RELEASED");
  }
  assert.throws(() => one.release(), { code: "ERR_JUMBO_PAGE_RELEASED" });
  assert.deepEqual(receiver.stats().held, { datagrams: 0, bytes: 0, pages: 0 });
  pool.verify();
});

/**
 * Shows: when consumers hold every page, reading stops, the kernel's buffer takes over and then drops, which is counted; nothing held is
 * overwritten; and as pages come back every receiver of the pool goes on, each in its turn. With both engines.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { JumboPool } from "../../src/index.ts";
import type { Page } from "../../src/index.ts";
import type { HeldDatagram, UdpReceiver, UdpBatch } from "../../src/udp/index.ts";
import { poolFor, until } from "../support/at-rest.ts";
import { drained, noCalls, numberOf, numbered, receiverOn, senderTo, upTo, withEngines } from "../support/udp.ts";

/** Keeps everything, and looks at all of it. */
class Keeper {
  readonly held: { readonly datagram: HeldDatagram; readonly number: number }[] = [];
  readonly seen: number[] = [];

  readonly take = (batch: UdpBatch): void => {
    for (const datagram of batch) {
      const number = numberOf(datagram.bytes);
      this.seen.push(number);
      this.held.push({ datagram: datagram.hold(), number });
    }
  };

  verify(): void {
    for (const { datagram, number } of this.held)
      assert.equal(numberOf(datagram.bytes), number, "held bytes are intact");
  }

  release(count: number = this.held.length): void {
    for (const { datagram } of this.held.splice(0, count)) datagram.release();
  }
}

/** Everything sent is accounted for. */
function assertLedger({ seen }: Keeper, sent: number, receiver: UdpReceiver): void {
  const { kernelDrops, dropped, datagrams } = receiver.stats();
  assert.equal(datagrams, seen.length);
  assert.deepEqual(
    seen,
    [...new Set(seen)].toSorted((a, b) => a - b),
    "in order, each once",
  );
  assert.ok(seen.length + kernelDrops + dropped <= sent, `${seen.length} + ${kernelDrops} + ${dropped} of ${sent}`);
  // How many the kernel has dropped only the recvmmsg engine can know.
  if (receiver.stats().engine === "recvmmsg") assert.deepEqual([seen.length + kernelDrops, dropped], [sent, 0]);
}

for (const [pageSizeBytes, pagesMax, length] of [
  [4096, 2, 500],
  [4096, 3, 4000],
  [4096, 64, 4000],
  [65_536, 4, 3000],
  [65_536, 8, 100],
] as const)
  withEngines(
    `${pagesMax} pages of ${pageSizeBytes}, ${length} bytes each: held, released, held, …`,
    async (t, engine) => {
      const pool = poolFor(t, { pageSizeBytes, pagesMax });
      const keeper = new Keeper();
      const receiver = await receiverOn(t, { pool, engine }, keeper.take);
      const sender = await senderTo(t, receiver);
      let sent = 0;
      for (let round = 0; round < 10; round++) {
        for (const end = sent + 60; sent < end; sent++) sender.send(numbered(sent, length));
        await until(
          () => keeper.held.length >= Math.min(60, pagesMax / 2) || keeper.seen.length === sent,
          "some arrive",
        );
        keeper.verify();
        keeper.release(round % 2 === 0 ? undefined : Math.ceil(keeper.held.length / 2));
      }
      // Then nobody keeps anything for long: all the rest has to come.
      const releasing = setInterval(() => (keeper.verify(), keeper.release()), 1);
      t.after(() => clearInterval(releasing));
      await drained(receiver);
      await until(() => pool.stats().inUse === 0 || keeper.held.length > 0, "delivered");
      await until(() => pool.stats().inUse === 0, "released");
      clearInterval(releasing);
      keeper.release();
      assertLedger(keeper, sent, receiver);
      if (length > pageSizeBytes / 2 && pagesMax < 60)
        assert.ok(receiver.stats().pauses > 0, "or this has tested nothing");
    },
  );

withEngines("dry: reading stops, no page is left over, no CPU is used; then everything goes on", async (t, engine) => {
  const pool = poolFor(t, { pagesMax: 6 });
  const keeper = new Keeper();
  const receiver = await receiverOn(t, { pool, engine }, keeper.take);
  const sender = await senderTo(t, receiver);
  for (let i = 0; i < 40; i++) sender.send(numbered(i, 4000));
  await until(() => receiver.stats().pauses > 0, "out of pages");
  await delay(20);
  const { reads, datagrams } = receiver.stats();
  const before = process.cpuUsage();
  await delay(100);
  const { user, system } = process.cpuUsage(before);
  assert.ok(user + system < 50_000, `${(user + system) / 1000} ms of CPU in 100 ms`);
  assert.deepEqual([receiver.stats().reads, receiver.stats().datagrams], [reads, datagrams], "nothing is read");
  assert.ok(datagrams < 40, `${datagrams} fit into 6 pages`);
  for (let round = 0; round < 100 && keeper.seen.length < 40; round++) {
    keeper.verify();
    keeper.release();
    await delay(1);
  }
  assertLedger(keeper, 40, receiver);
  assert.equal(keeper.seen.length + receiver.stats().dropped, 40, "and the kernel had room for them");
  keeper.release();
});

withEngines("a pool of one page still receives", async (t, engine) => {
  const pool = poolFor(t, { pagesMax: 1 });
  const seen: number[] = [];
  // With recvmmsg a row needs two pages: there is a reason why it is not used.
  const receiver = await receiverOn(t, { pool, ...(engine === "dgram" ? { engine } : {}) }, (batch) => {
    for (const { bytes } of batch) seen.push(numberOf(bytes));
  });
  const sender = await senderTo(t, receiver);
  for (let i = 0; i < 20; i++) {
    sender.send(numbered(i, 1000));
    await until(() => seen.length === i + 1, "it arrives");
  }
  assert.deepEqual(seen, upTo(20));
  if (engine === "recvmmsg") {
    assert.match(receiver.stats().engineReason ?? "", /two pages/);
    await assert.rejects(receiverOn(t, { pool, engine }), { code: "ERR_JUMBO_OPTION_INVALID" });
  }
});

withEngines("a receiver that is made in a shortage waits, and goes on when it is over", async (t, engine) => {
  const pool = poolFor(t, { pagesMax: 8 });
  const pages: Page[] = [];
  pool.allocMany(pages, 8);
  const keeper = new Keeper();
  const receiver = await receiverOn(t, { pool, engine }, keeper.take);
  const sender = await senderTo(t, receiver);
  for (let i = 0; i < 10; i++) sender.send(numbered(i));
  await delay(20);
  assert.equal(keeper.seen.length, 0);
  for (const page of pages) page.release();
  await until(() => keeper.seen.length + receiver.stats().dropped === 10, "they arrive");
  keeper.release();
});

withEngines("a shortage that is over before the pool could tell: it reads", async (t, engine) => {
  const pool = poolFor(t, { pagesMax: 8 });
  const keeper = new Keeper();
  const receiver = await receiverOn(t, { pool, engine }, keeper.take);
  const sender = await senderTo(t, receiver);
  for (let i = 0; i < 20; i++) {
    const pages: Page[] = [];
    pool.allocMany(pages, 8);
    sender.send(numbered(i));
    for (const page of pages) page.release();
    await until(() => keeper.seen.length === i + 1, "it arrives");
    keeper.release();
  }
});

withEngines("two receivers, and 20, share a small pool fairly", async (t, engine) => {
  for (const count of [2, 20]) {
    const pool = poolFor(t, { pagesMax: 8 });
    const pages: Page[] = [];
    pool.allocMany(pages, 8); // until everything has been sent
    const turns: number[] = [];
    const held: HeldDatagram[] = [];
    const receivers: UdpReceiver[] = [];
    for (let index = 0; index < count; index++) {
      const take = (batch: UdpBatch): void => {
        turns.push(index);
        for (const datagram of batch) held.push(datagram.hold());
      };
      receivers.push(await receiverOn(t, { pool, engine }, take));
    }
    const PER_RECEIVER = 20;
    for (const receiver of receivers) {
      const sender = await senderTo(t, receiver);
      for (let i = 0; i < PER_RECEIVER; i++) sender.send(numbered(i, 4000));
    }
    for (const page of pages) page.release();
    const done = (receiver: UdpReceiver): boolean =>
      receiver.stats().datagrams + receiver.stats().dropped >= PER_RECEIVER;
    await until(
      () => {
        if (pool.isUnderPressure) for (const one of held.splice(0)) one.release();
        return receivers.every(done);
      },
      () => JSON.stringify(receivers.map((each) => each.stats().datagrams)),
    );
    // Nobody had all of theirs before everybody had some.
    const first = receivers.map((_, index) => turns.indexOf(index));
    const last = receivers.map((_, index) => turns.lastIndexOf(index));
    assert.ok(Math.max(...first) < Math.min(...last), `whose turn it was: ${turns.join()}`);
    for (const one of held.splice(0)) one.release();
  }
});

withEngines(
  "a pool that is closed by force ends its receivers with its code; held ones and batches are gone",
  async (t, engine) => {
    for (const how of ["held", "in the callback", "while a promise is pending", "iterated"] as const) {
      const pool = new JumboPool({ idleTrimMs: 0 });
      const errors: NodeJS.ErrnoException[] = [];
      let calls = 0;
      let settle = (): void => {};
      const take = (batch: UdpBatch): unknown => {
        calls++;
        if (how === "held") for (const datagram of batch) datagram.hold();
        if (how === "in the callback") pool.close({ force: true });
        return how === "while a promise is pending" ? new Promise<void>((resolve) => (settle = resolve)) : undefined;
      };
      const receiver = await receiverOn(t, { pool, engine }, how === "iterated" ? undefined : take);
      receiver.on("error", (error) => errors.push(error));
      const next = how === "iterated" ? receiver[Symbol.asyncIterator]().next() : null;
      let isClosed = false;
      receiver.on("close", () => (isClosed = true));
      const sender = await senderTo(t, receiver);
      if (next === null) {
        sender.send("hello");
        await until(() => calls === 1, "it arrives");
      }
      pool.close({ force: true });
      settle();
      sender.send("again");
      if (next === null) {
        await until(() => isClosed, `it closes: ${how}`);
        assert.deepEqual(
          errors.map(({ code }) => code),
          ["ERR_JUMBO_POOL_CLOSED"],
          how,
        );
      } else await assert.rejects(next, { code: "ERR_JUMBO_POOL_CLOSED" });
      assert.equal(calls, how === "iterated" ? 0 : 1);
      pool.verify();
    }
  },
);

test(
  "recvmmsg: with a tiny receive buffer every datagram is received or counted as dropped",
  { skip: noCalls },
  async (t) => {
    const pool = poolFor(t);
    for (const lengths of [[16], [1400], [0, 100, 1400, 3000]]) {
      let seen = 0;
      const receiver = await receiverOn(
        t,
        { pool, engine: "recvmmsg", recvBufferBytes: 4096 },
        (batch) => void (seen += batch.length),
      );
      const sender = await senderTo(t, receiver);
      const COUNT = 2000;
      for (let i = 0; i < COUNT; i++) {
        sender.send(numbered(i, 4096).subarray(0, lengths[i % lengths.length]));
        if (i % 100 === 99) await drained(receiver);
      }
      await drained(receiver);
      const { kernelDrops, datagrams } = receiver.stats();
      assert.ok(kernelDrops > 0, "or this has tested nothing");
      assert.deepEqual([seen + kernelDrops, datagrams], [COUNT, seen]);
      await receiver.close();
      assert.equal(receiver.stats().kernelDrops, kernelDrops, "it is known after the close");
    }
  },
);

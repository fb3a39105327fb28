/**
 * Shows: batches are borrowed and come one at a time, in order, to a callback, to one that returns a promise, and to `for await`; while the
 * consumer is busy nothing is read; and one that throws or rejects is told of, and neither loses anything nor ends the receiver. With both engines.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import type { TestContext } from "node:test";
import { setImmediate as turn, setTimeout as delay } from "node:timers/promises";
import type { JumboPool, Page } from "../../src/index.ts";
import type { OnBatch, UdpBatch, UdpEngine, UdpReceiver } from "../../src/udp/index.ts";
import { poolFor, until } from "../support/at-rest.ts";
import {
  numberOf,
  numbered,
  numbersOf,
  queuedBytes,
  portOf,
  receiverOn,
  senderTo,
  upTo,
  withEngines,
} from "../support/udp.ts";

const RELEASED = { code: "ERR_JUMBO_MBUF_RELEASED" };
const COUNT = 400;

type Made = {
  readonly pool: JumboPool;
  readonly receiver: UdpReceiver;
  readonly send: (first: number, count: number) => void;
};

async function make(t: TestContext, engine: UdpEngine, onBatch?: OnBatch): Promise<Made> {
  const pool = poolFor(t, { pagesMax: 512 });
  const receiver = await receiverOn(t, { pool, engine }, onBatch);
  const sender = await senderTo(t, receiver);
  const send = (first: number, count: number): void => {
    for (let i = first; i < first + count; i++) sender.send(numbered(i));
  };
  return { pool, receiver, send };
}

withEngines("a callback: every batch in order, each borrowed until it returns", async (t, engine) => {
  const seen: number[] = [];
  const before: UdpBatch[] = [];
  const { pool, send } = await make(t, engine, (batch) => {
    assert.ok(before.every((each) => each.isReleased));
    before.push(batch);
    seen.push(...numbersOf(batch));
  });
  for (let sent = 0; sent < COUNT; sent += 100) {
    send(sent, 100);
    await until(() => seen.length === sent + 100, "all of them");
  }
  assert.deepEqual(seen, upTo(COUNT));
  assert.ok(before.every((each) => each.isReleased));
  assert.equal(pool.stats().inUse, 0);
});

withEngines("an async callback: one batch at a time, good until its promise settles", async (t, engine) => {
  const seen: number[] = [];
  let atWork = 0;
  const { pool, send } = await make(t, engine, async (batch) => {
    assert.equal(++atWork, 1);
    const numbers = numbersOf(batch);
    await turn();
    await turn();
    assert.deepEqual(numbersOf(batch), numbers, "it is as it was");
    seen.push(...numbers);
    atWork--;
  });
  for (let sent = 0; sent < COUNT; sent += 100) {
    send(sent, 100);
    await until(() => seen.length === sent + 100, "all of them");
  }
  assert.deepEqual(seen, upTo(COUNT));
  await until(() => pool.stats().inUse === 0, "the last borrow ends");
});

withEngines("while the promise is pending nothing is read: it waits in the kernel", async (t, engine) => {
  const seen: number[] = [];
  let go = (): void => {};
  const { receiver, pool, send } = await make(t, engine, (batch) => {
    seen.push(...numbersOf(batch));
    return new Promise<void>((resolve) => (go = resolve));
  });
  send(0, 1);
  await until(() => seen.length === 1, "the first");
  send(1, 50);
  await until(() => queuedBytes(portOf(receiver)) > 0 || process.platform !== "linux", "they are there");
  const { wakeups } = receiver.stats();
  await delay(50);
  assert.equal(seen.length, 1);
  assert.ok(pool.stats().inUse <= 2, `${pool.stats().inUse} pages are in use`);
  assert.ok(receiver.stats().wakeups <= wakeups + 1, "it is not woken again and again");
  while (seen.length < 51) {
    go();
    await turn();
  }
  assert.deepEqual(seen, upTo(51));
  go();
});

withEngines("nor when the pool comes under pressure and out of it meanwhile", async (t, engine) => {
  let atWork = 0;
  let go = (): void => {};
  const seen: number[] = [];
  const { receiver, pool, send } = await make(t, engine, async (batch) => {
    assert.equal(++atWork, 1, "one batch at a time");
    seen.push(...numbersOf(batch));
    await new Promise<void>((resolve) => (go = resolve));
    atWork--;
  });
  send(0, 1);
  await until(() => seen.length === 1, "the first");
  send(1, 30);
  for (let round = 0; round < 3; round++) {
    const pages: Page[] = [];
    pool.allocMany(pages, pool.pagesMax);
    await until(() => receiver.stats().pauses > round, "it hears of the shortage");
    for (const page of pages) page.release();
    for (let turns = 0; turns < 10; turns++) await turn();
    assert.equal(seen.length, 1);
  }
  await until(() => (go(), seen.length === 31), "later");
  assert.deepEqual(seen, upTo(31));
  go();
});

withEngines("for await: each batch is borrowed until the iteration moves on", async (t, engine) => {
  const { receiver, send } = await make(t, engine);
  send(0, 150);
  const seen: number[] = [];
  const stale: UdpBatch[] = [];
  for await (const batch of receiver) {
    assert.ok(stale.every((each) => each.isReleased));
    assert.deepEqual(
      numbersOf(batch),
      upTo(batch.length).map((i) => i + seen.length),
    );
    await turn();
    seen.push(...numbersOf(batch));
    stale.push(batch);
    if (seen.length === 150) send(150, 150);
    if (seen.length === 300) break;
  }
  assert.deepEqual(seen, upTo(300));
  for (const batch of stale) assert.throws(() => [...batch], RELEASED);
});

withEngines("before the first next() nothing is read", async (t, engine) => {
  const { receiver, pool, send } = await make(t, engine);
  send(0, 20);
  await delay(30);
  assert.equal(receiver.stats().datagrams, 0);
  assert.equal(pool.stats().inUse, 0);
  const iterator = receiver[Symbol.asyncIterator]();
  const first = await iterator.next();
  assert.ok(first.done !== true && numbersOf(first.value)[0] === 0);
  await iterator.return?.();
});

withEngines("leaving the loop, or throwing in it, closes the receiver", async (t, engine) => {
  for (const leave of ["break", "throw"]) {
    const { receiver, pool, send } = await make(t, engine);
    let isClosed = false;
    receiver.on("close", () => (isClosed = true));
    send(0, 10);
    const iterate = async (): Promise<void> => {
      for await (const batch of receiver) {
        assert.ok(batch.length > 0);
        if (leave === "break") break;
        throw new Error("in the loop");
      }
    };
    if (leave === "break") await iterate();
    else await assert.rejects(iterate, /in the loop/);
    assert.ok(isClosed);
    assert.throws(() => receiver.address());
    assert.equal(pool.stats().inUse, 0);
  }
});

withEngines("when the receiver closes, a waiting loop ends", async (t, engine) => {
  const { receiver, send } = await make(t, engine);
  let length = 0;
  const iterate = (async () => {
    for await (const batch of receiver) length += batch.length;
  })();
  send(0, 10);
  await until(() => length === 10, "they arrive");
  await receiver.close();
  await iterate;
});

withEngines("a callback that throws: an 'error', and it goes on with the next batch", async (t, engine) => {
  const errors: Error[] = [];
  const mistake = new Error("the consumer's own");
  let seen = 0;
  const { receiver, pool, send } = await make(t, engine, (batch) => {
    seen += batch.length;
    throw mistake;
  });
  receiver.on("error", (error) => errors.push(error));
  for (let sent = 0; sent < 30; sent += 10) {
    send(sent, 10);
    await until(() => seen === sent + 10, "they arrive");
  }
  assert.ok(errors.length >= 3 && errors.every((error) => error === mistake));
  assert.deepEqual([receiver.stats().errors, receiver.stats().batches], [errors.length, errors.length]);
  assert.equal(pool.stats().inUse, 0);
});

withEngines("a promise that rejects: the same; what is no Error is the cause of one", async (t, engine) => {
  let seen = 0;
  const { receiver, pool, send } = await make(t, engine, async (batch) => {
    seen += batch.length;
    await turn();
    assert.ok(numbersOf(batch).length > 0);
    throw "a string"; // oxlint-disable-line only-throw-error -- some consumers do
  });
  for (let sent = 0; sent < 30; sent += 10) {
    const failed = once(receiver, "error") as Promise<[Error]>;
    send(sent, 10);
    const [error] = await failed;
    assert.equal(error.cause, "a string");
    receiver.once("error", () => {}); // should they come in more than one batch
    await until(() => seen === sent + 10, "they arrive");
    await until(() => pool.stats().inUse === 0, "the borrow ended");
    receiver.removeAllListeners("error");
  }
});

withEngines("a thenable that settles twice ends one borrow", async (t, engine) => {
  const seen: number[] = [];
  const twice = { then: (settle: () => void): void => (settle(), setImmediate(settle), undefined) }; // oxlint-disable-line no-thenable -- the point
  const { send } = await make(t, engine, (batch) => {
    seen.push(...numbersOf(batch));
    return twice;
  });
  for (let sent = 0; sent < 100; sent += 20) {
    send(sent, 20);
    await until(() => seen.length === sent + 20, "they arrive");
  }
  assert.deepEqual(seen, upTo(100));
});

withEngines("what a callback returns beside a promise does not matter", async (t, engine) => {
  const answers = [false, 0, "", null, undefined, {}, { then: "no function" }, Symbol("any")]; // oxlint-disable-line no-thenable -- the point
  const seen: number[] = [];
  const { send } = await make(t, engine, (batch) => {
    seen.push(...numbersOf(batch));
    return answers[seen.length % answers.length];
  });
  for (let i = 0; i < answers.length * 2; i++) {
    send(i, 1);
    await until(() => seen.length === i + 1, "it arrives");
  }
});

withEngines("misuse of the iteration is refused by its code", async (t, engine) => {
  const called = await make(t, engine, () => {});
  assert.throws(() => called.receiver[Symbol.asyncIterator](), { code: "ERR_JUMBO_RECEIVER_MODE" });
  const { receiver, send } = await make(t, engine);
  const iterator = receiver[Symbol.asyncIterator]();
  assert.throws(() => receiver[Symbol.asyncIterator](), { code: "ERR_JUMBO_RECEIVER_MODE" });
  const first = iterator.next();
  await assert.rejects(iterator.next(), { code: "ERR_JUMBO_RECEIVER_MODE" });
  send(7, 1);
  const { value } = await first;
  assert.ok(value !== undefined && numberOf([...value][0]?.bytes ?? Buffer.alloc(0)) === 7);
  assert.deepEqual(await iterator.return?.(), { value: undefined, done: true });
  assert.deepEqual(await iterator.next(), { value: undefined, done: true });
});

/**
 * Shows: a receiver can be closed at any time and in any way (in its callback, during a promise, by a signal, by closing the socket beneath), and then calls
 * nobody, keeps no page and no descriptor; what was held stays good. With both engines.
 */
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { JumboPool } from "../../src/index.ts";
import { bindUdp, receiveUdp } from "../../src/udp/index.ts";
import type { HeldDatagram, UdpReceiver } from "../../src/udp/index.ts";
import { poolFor, until } from "../support/at-rest.ts";
import { said } from "../support/udp-child.ts";
import {
  noCalls,
  numberOf,
  numbered,
  numbersOf,
  portOf,
  receiverOn,
  senderTo,
  upTo,
  withEngines,
  wrong,
} from "../support/udp.ts";

const descriptors = (): number => (process.platform === "linux" ? readdirSync("/proc/self/fd").length : 0);

/** Fails unless somebody else can have `port` now. */
async function assertFree(port: number): Promise<void> {
  const socket = createSocket("udp4").bind(port, "127.0.0.1");
  await once(socket, "listening");
  socket.close();
  await once(socket, "close");
}

withEngines("close() resolves also when the socket tells of an error before it has closed", async (t, engine) => {
  const receiver = await bindUdp({ pool: poolFor(t), engine, address: "127.0.0.1" }, () => {});
  const errors: Error[] = [];
  receiver.on("error", (error) => errors.push(error));
  const closed = receiver.close();
  receiver.socket.emit("error", new Error("a send that failed"));
  await closed;
  assert.equal(errors.length, 1);
});

withEngines(
  "close() resolves when the port is free; again, and the other ways to close, are nothing",
  async (t, engine) => {
    const pool = poolFor(t);
    const receiver = await bindUdp({ pool, engine, address: "127.0.0.1" }, () => {});
    const port = portOf(receiver);
    let closes = 0;
    receiver.on("close", () => closes++);
    await Promise.all([receiver.close(), receiver.close()]);
    await receiver.close();
    await receiver[Symbol.asyncDispose]();
    await assertFree(port);
    assert.equal(closes, 1);
    assert.throws(() => receiver.address(), { code: "ERR_SOCKET_DGRAM_NOT_RUNNING" });
    assert.equal(receiver.stats().datagrams, 0, "stats can still be asked for");
    await assert.rejects(receiver.send(Buffer.from("x"), { address: "127.0.0.1", port: 9 }));
    receiver.ref().unref();
  },
);

withEngines("await using closes at the end of the block", async (t, engine) => {
  const pool = poolFor(t);
  let port = 0;
  {
    await using receiver = await bindUdp({ pool, engine, address: "127.0.0.1" }, () => {});
    port = portOf(receiver);
  }
  await assertFree(port);
});

withEngines("closed in the callback: no call more, what was held stays good", async (t, engine) => {
  const pool = poolFor(t);
  const held: HeldDatagram[] = [];
  let calls = 0;
  const receiver: UdpReceiver = await receiverOn(t, { pool, engine }, (batch) => {
    calls++;
    for (const datagram of batch) held.push(datagram.hold());
    void receiver.close();
    assert.deepEqual(numbersOf(batch), upTo(batch.length), "the batch is good until the callback returns");
  });
  const sender = await senderTo(t, receiver);
  for (let i = 0; i < 150; i++) sender.send(numbered(i, 1000));
  await once(receiver, "close");
  for (let i = 0; i < 5; i++) await turn();
  assert.equal(calls, 1);
  for (const [index, datagram] of held.entries()) {
    assert.equal(numberOf(datagram.bytes), index);
    datagram.release();
  }
});

withEngines("closed while a promise is pending: the batch is good until it settles", async (t, engine) => {
  const pool = poolFor(t);
  let go = (): void => {};
  let isDone = false;
  let calls = 0;
  const receiver = await receiverOn(t, { pool, engine }, async (batch) => {
    calls++;
    await new Promise<void>((resolve) => (go = resolve));
    assert.deepEqual(numbersOf(batch), upTo(batch.length));
    isDone = true;
  });
  const sender = await senderTo(t, receiver);
  for (let i = 0; i < 20; i++) sender.send(numbered(i));
  await until(() => calls === 1, "the first batch");
  await receiver.close();
  assert.ok(pool.stats().inUse > 0);
  go();
  await until(() => isDone && pool.stats().inUse === 0, "it settles, and the borrow ends");
  assert.equal(calls, 1);
});

withEngines(
  "closed while an iteration has a batch: it is good until the iteration moves on, to its end",
  async (t, engine) => {
    const pool = poolFor(t);
    const receiver = await receiverOn(t, { pool, engine });
    const sender = await senderTo(t, receiver);
    for (let i = 0; i < 20; i++) sender.send(numbered(i));
    let batches = 0;
    for await (const batch of receiver) {
      batches++;
      await receiver.close();
      assert.deepEqual(numbersOf(batch), upTo(batch.length));
    }
    assert.equal(batches, 1);
  },
);

withEngines("closing the socket beneath closes the receiver", async (t, engine) => {
  const pool = poolFor(t);
  const receiver = await receiverOn(t, { pool, engine }, () => {});
  const closed = once(receiver, "close");
  receiver.socket.close();
  await closed;
  assert.throws(() => receiver.address(), { code: "ERR_SOCKET_DGRAM_NOT_RUNNING" });
});

withEngines("a signal closes it: before it is made, while it is bound, after it", async (t, engine) => {
  const pool = poolFor(t);
  const before = descriptors();
  const reason = new Error("changed my mind");
  const options = { pool, engine, address: "127.0.0.1" } as const;
  await assert.rejects(
    bindUdp({ ...options, signal: AbortSignal.abort(reason) }, () => {}),
    reason,
  );

  const during = new AbortController();
  const pending = bindUdp({ ...options, address: "localhost", signal: during.signal }, () => {});
  during.abort(reason);
  await assert.rejects(pending, reason);

  const after = new AbortController();
  const receiver = await bindUdp({ ...options, signal: after.signal }, () => {});
  const port = portOf(receiver);
  const closed = once(receiver, "close");
  after.abort(reason);
  await closed;
  await assertFree(port);
  assert.equal(receiver.stats().errors, 0, "that is no error");
  await until(() => descriptors() <= before, "no descriptor is left");

  const iterated = new AbortController();
  const source = await bindUdp({ ...options, signal: iterated.signal });
  setImmediate(() => iterated.abort());
  for await (const batch of source) assert.fail(`${batch.length} datagrams of nobody`);
});

withEngines("made and closed 100 times, with traffic: no descriptor and no page is left", async (t, engine) => {
  const pool = poolFor(t);
  const before = descriptors();
  let seen = 0;
  for (let i = 0; i < 100; i++) {
    const receiver = await bindUdp({ pool, engine, address: "127.0.0.1" }, (batch) => void (seen += batch.length));
    const sender = createSocket("udp4");
    sender.connect(portOf(receiver), "127.0.0.1");
    await once(sender, "connect");
    for (let n = 0; n < 10; n++) sender.send(numbered(n));
    for (let n = 0; n < i % 4; n++) await turn();
    sender.close();
    await receiver.close();
    assert.equal(pool.stats().inUse, 0);
  }
  assert.ok(seen > 0, "some of it arrives");
  await until(
    () => descriptors() <= before,
    () => `${descriptors()} descriptors, ${before} before`,
  );
});

withEngines("sockets that cannot be received from are refused by their code", async (t, engine) => {
  const pool = poolFor(t);
  const options = { pool, engine };
  const unbound = createSocket("udp4");
  for (const socket of [wrong({}), wrong(null), wrong(undefined), unbound])
    assert.throws(() => receiveUdp(socket, options, () => {}), { code: "ERR_JUMBO_SOCKET_INVALID" });
  unbound.close();
  assert.throws(() => receiveUdp(unbound, options, () => {}), { code: "ERR_JUMBO_SOCKET_INVALID" });
  const receiver = await receiverOn(t, options, () => {});
  assert.throws(() => receiveUdp(receiver.socket, options, () => {}), { code: "ERR_JUMBO_RECEIVER_ACTIVE" });
  const gone = new JumboPool();
  gone.close();
  await assert.rejects(bindUdp({ ...options, pool: gone }), { code: "ERR_JUMBO_POOL_CLOSED" });
});

test(
  "without a listener for 'error' a throw is uncaught, as with any emitter; no page is lost with it",
  { skip: noCalls },
  async () => {
    for (const engine of ["recvmmsg", "dgram"]) {
      const script = `
      const pool = new JumboPool({ idleTrimMs: 0 });
      let caught = 0, seen = 0;
      process.on("uncaughtException", (error) => { if (error.message === "mistake") caught++; });
      const receiver = await bindUdp({ pool, engine: ${JSON.stringify(engine)}, address: "127.0.0.1" }, (batch) => {
        seen += batch.length;
        throw new Error("mistake");
      });
      const sender = await senderTo(receiver);
      for (let i = 1; i <= 5; i++) { sender.send("x"); while (seen < i) await turn(); }
      await turn();
      say({ caught, inUse: pool.stats().inUse });
      receiver.close();`;
      assert.deepEqual(await said(script), [{ caught: 5, inUse: 0 }], engine);
    }
  },
);

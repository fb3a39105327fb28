/**
 * Shows: a flood starves neither timers nor other receivers; a receiver at rest holds no page and uses no CPU, and 1,000 of them neither. With both
 * engines where it concerns both.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import type { UdpBatch, UdpReceiver } from "../../src/udp/index.ts";
import { openFilesMax } from "../tcp/idle-clients.ts";
import { poolFor, until } from "../support/at-rest.ts";
import { drained, noCalls, numbered, portOf, receiverOn, senderTo, withEngines } from "../support/udp.ts";

/** A thread that sends to `ports`, one after the other, as fast as it can, until it is terminated. */
function flood(ports: readonly number[], length = 100): Worker {
  const script = `
    const { createSocket } = require("node:dgram");
    const { workerData: { ports, length } } = require("node:worker_threads");
    const bytes = Buffer.alloc(length);
    const senders = ports.map((port) => { const s = createSocket("udp4"); s.connect(port, "127.0.0.1"); s.on("error", () => {}); return s; });
    let connected = 0;
    for (const s of senders) s.on("connect", () => { if (++connected === senders.length) send(); });
    function send() {
      for (let i = 0; i < 100; i++) for (const s of senders) s.send(bytes);
      setImmediate(send);
    }`;
  return new Worker(script, { eval: true, workerData: { ports, length } });
}

withEngines("under a flood timers still fire, and so does a socket with little traffic", async (t, engine) => {
  const pool = poolFor(t, { pageSizeBytes: 65_536, pagesMax: 512 });
  let flooded = 0;
  const busy = await receiverOn(t, { pool, engine }, (batch) => void (flooded += batch.length));
  let answered = 0;
  const quiet = await receiverOn(t, { pool, engine }, (batch) => void (answered += batch.length));
  const sender = await senderTo(t, quiet);
  const worker = flood([portOf(busy)]);
  t.after(() => worker.terminate());
  await until(() => flooded > 1000, "the flood has begun");
  const delays: number[] = [];
  for (let i = 0; i < 40; i++) {
    const start = performance.now();
    sender.send("x");
    await delay(1);
    await until(() => answered === i + 1, "it is answered");
    delays.push(performance.now() - start);
  }
  await worker.terminate();
  const median = delays.toSorted((a, b) => a - b)[20] ?? Infinity;
  assert.ok(median < 50, `a timer of 1 ms and a datagram take ${median} ms in the middle`);
});

test("recvmmsg: two floods are read in turns", { skip: noCalls }, async (t) => {
  const pool = poolFor(t, { pageSizeBytes: 65_536, pagesMax: 512 });
  const turns: number[] = [];
  const receivers: UdpReceiver[] = [];
  for (const index of [0, 1])
    receivers.push(await receiverOn(t, { pool }, (batch) => turns.push(...(batch.length > 0 ? [index] : []))));
  const worker = flood(receivers.map(portOf));
  t.after(() => worker.terminate());
  await until(() => turns.length > 300, "many batches");
  await worker.terminate();
  let longest = 0;
  for (let at = 0, run = 1; at < turns.length; at++, run = turns[at] === turns[at - 1] ? run + 1 : 1)
    longest = Math.max(longest, run);
  // 512 datagrams or 1 ms are a turn: far fewer batches than this, or one of them has waited.
  assert.ok(longest < 150, `${longest} batches of one of them in a row`);
});

withEngines("at rest after traffic: no page, no wake-up, next to no CPU", async (t, engine) => {
  const pool = poolFor(t);
  let seen = 0;
  const receiver = await receiverOn(t, { pool, engine }, (batch) => void (seen += batch.length));
  const sender = await senderTo(t, receiver);
  for (let i = 0; i < 100; i++) sender.send(numbered(i, 1400));
  await until(() => seen === 100, "traffic");
  await drained(receiver);
  assert.equal(pool.stats().inUse, 0);
  const { reads, wakeups } = receiver.stats();
  const before = process.cpuUsage();
  await delay(200);
  const { user, system } = process.cpuUsage(before);
  assert.deepEqual([receiver.stats().reads, receiver.stats().wakeups], [reads, wakeups]);
  assert.ok(user + system < 50_000, `${(user + system) / 1000} ms of CPU in 200 ms`);
});

const RECEIVERS = 1000;
const filesNeeded = RECEIVERS * 2 + 500;
const tooFewFiles =
  openFilesMax() < filesNeeded && `this machine allows ${openFilesMax()} open files, ${filesNeeded} are needed`;

withEngines(
  `${RECEIVERS} receivers: no page in use, before and after each has received something`,
  async (t, engine) => {
    const pool = poolFor(t, { pagesMax: 256, audit: false });
    const seen = new Set<number>(); // with so many ports, what others send to their former owners may come too
    const receivers: UdpReceiver[] = [];
    for (let index = 0; index < RECEIVERS; index++) {
      const own = numbered(index);
      const take = (batch: UdpBatch): void => {
        for (const { bytes } of batch) if (bytes.equals(own)) seen.add(index);
      };
      receivers.push(await receiverOn(t, { pool, engine }, take));
    }
    assert.equal(pool.stats().inUse, 0);
    const sender = receivers[0] ?? assert.fail();
    for (const [index, receiver] of receivers.entries()) {
      await sender.send(numbered(index), { address: "127.0.0.1", port: portOf(receiver) });
    }
    await until(
      () => seen.size === RECEIVERS,
      () => `${seen.size} have received`,
    );
    assert.equal(pool.stats().inUse, 0);
    assert.ok(pool.stats().inUsePeak < 100, `${pool.stats().inUsePeak} pages at most`);
  },
  { skip: tooFewFiles },
);

/**
 * Shows: a doorbell rings, from the event loop, as long as what it watches is readable and somebody wants to know; it takes nothing away, keeps the
 * process alive as asked, works in threads, and leaves no descriptor behind, however its thread ends.
 */
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import type { Socket } from "node:dgram";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { Doorbell } from "../../src/udp/doorbell.ts";
import { handleOf } from "../../src/udp/node-internals.ts";
import { until } from "../support/at-rest.ts";
import { said } from "../support/udp-child.ts";
import { fdOf, noCalls } from "../support/udp.ts";

const skip = noCalls;

/** A bound socket that Node does not read from, so that what comes stays there; and how to send to it. */
async function quietSocket(
  t: TestContext,
): Promise<{ socket: Socket; fd: number; send: () => void; take: () => void }> {
  const socket = createSocket("udp4");
  t.after(() => socket.close());
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  const handle = handleOf(socket) ?? assert.fail();
  handle.recvStop();
  const sender = createSocket("udp4");
  t.after(() => sender.close());
  sender.connect(socket.address().port, "127.0.0.1");
  await once(sender, "connect");
  return { socket, fd: handle.fd, send: () => sender.send("text"), take: () => handle.recvStart() };
}

function bellFor(t: TestContext, ring: () => void): Doorbell {
  const bell = new Doorbell(ring);
  t.after(() => bell.close());
  return bell;
}

/** Long enough for the event loop to have called whatever was due. */
async function someTurns(): Promise<void> {
  for (let i = 0; i < 20; i++) await turn();
}

test("it rings as long as there is something to read, and takes nothing", { skip }, async (t) => {
  const { socket, fd, send, take } = await quietSocket(t);
  let rings = 0;
  const bell = bellFor(t, () => void rings++);
  assert.equal(bell.watch(fd), 0);
  await someTurns();
  assert.equal(rings, 0, "there is nothing");
  send();
  await until(() => rings >= 5, "it rings again and again");
  const message = once(socket, "message");
  take();
  assert.equal(String((await message)[0]), "text");
  const before = rings;
  await someTurns();
  assert.equal(rings, before, "there is nothing more");
});

test("muted it does not ring; watched again it does, for what came before", { skip }, async (t) => {
  const { fd, send } = await quietSocket(t);
  let rings = 0;
  const bell = bellFor(t, () => {
    rings++;
    bell.mute();
  });
  send();
  await someTurns();
  assert.equal(rings, 0, "muted at first");
  for (let round = 1; round <= 5; round++) {
    assert.equal(bell.watch(fd), 0);
    assert.equal(bell.watch(fd), 0, "twice is once");
    await until(() => rings === round, "it rings");
    await someTurns();
    assert.equal(rings, round, "muted in the ring, it rings once");
  }
});

test("it watches one descriptor at a time, the last one", { skip }, async (t) => {
  const [one, other] = [await quietSocket(t), await quietSocket(t)];
  let rings = 0;
  const bell = bellFor(t, () => void rings++);
  bell.watch(one.fd);
  bell.watch(other.fd);
  one.send();
  await someTurns();
  assert.equal(rings, 0);
  other.send();
  await until(() => rings > 0, "it rings for the other one");
});

test("what it cannot watch it says, and it watches nothing then", { skip }, async (t) => {
  const { fd, send } = await quietSocket(t);
  let rings = 0;
  const bell = bellFor(t, () => void rings++);
  assert.equal(bell.watch(100_000), -9, "EBADF");
  send();
  await someTurns();
  assert.equal(rings, 0);
  assert.equal(bell.watch(fd), 0);
  await until(() => rings > 0, "and it still can");
});

test("ticks and promise reactions run after each ring, before the next callback", { skip }, async (t) => {
  const { fd, send } = await quietSocket(t);
  const events: string[] = [];
  const bell = bellFor(t, () => {
    bell.mute();
    events.push("ring");
    process.nextTick(() => events.push("tick"));
    void Promise.resolve().then(() => events.push("reaction"));
    setImmediate(() => events.push("turn"));
  });
  bell.watch(fd);
  send();
  await until(() => events.length === 4, "all of it");
  assert.deepEqual(events, ["ring", "tick", "reaction", "turn"]);
});

test("closed, in its own ring or not, it rings no more and gives its descriptor back", { skip }, async (t) => {
  const { fd, send } = await quietSocket(t);
  send();
  const before = readdirSync("/proc/self/fd").length;
  let rings = 0;
  for (let i = 0; i < 50; i++) {
    const bell = new Doorbell(() => {
      rings++;
      bell.close();
      bell.mute(); // what is closed may be told so
      assert.equal(bell.watch(fd), 0);
    });
    bell.watch(fd);
    if (i % 2 === 0) bell.close();
    bell.close();
    const ringing = new Doorbell(() => {
      rings++;
      ringing.close();
    });
    ringing.watch(fd);
    await until(() => rings === i + 1, "one ring");
  }
  await someTurns();
  assert.equal(rings, 50);
  assert.equal(readdirSync("/proc/self/fd").length, before);
});

test("its descriptor's number, taken by somebody else after the close, is left alone", { skip }, async (t) => {
  const { fd, send } = await quietSocket(t);
  let rings = 0;
  const bell = new Doorbell(() => void rings++);
  bell.close();
  await someTurns();
  const next = bellFor(t, () => void rings++); // gets the same number
  bell.watch(fd);
  bell.mute();
  send();
  await someTurns();
  assert.equal(rings, 0);
  next.watch(fd);
  bell.mute();
  bell.close();
  await until(() => rings > 0, "the next one is as it was");
});

test("it keeps the process alive, or not", { skip }, async () => {
  const script = (isRef: boolean): string => `
    const { Doorbell } = await load("src/udp/doorbell.js");
    const bell = new Doorbell(() => {});
    bell.setRef(false); bell.setRef(${isRef});
    setTimeout(() => { say("alive"); bell.close(); }, 150).unref();`;
  assert.deepEqual(await Promise.all([said(script(true)), said(script(false))]), [["alive"], []]);
});

for (const ending of ["close", "terminate", "exit", "throw"] as const)
  test(`in a thread that ends by ${ending}: it rings there, and no descriptor is left`, { skip }, async (t) => {
    const { socket, fd, send } = await quietSocket(t);
    send();
    const before = readdirSync("/proc/self/fd").length;
    for (let i = 0; i < 5; i++) {
      const worker = new Worker(new URL("./doorbell-worker.js", import.meta.url), { workerData: { fd, ending } });
      worker.on("error", () => {}); // of "throw"; it may come before the message does, so no once(), which it would end
      const exit = new Promise((resolve) => worker.once("exit", resolve));
      assert.equal(await new Promise((resolve) => worker.once("message", resolve)), 3);
      if (ending === "terminate") await worker.terminate();
      await exit;
    }
    await until(
      () => readdirSync("/proc/self/fd").length <= before,
      () => `${before} descriptors were open before, now ${readdirSync("/proc/self/fd").length}`,
    );
    assert.equal(fdOf(socket), fd, "what it watched is as it was");
  });

/**
 * Shows: each 'message' is a turn of its own, though many are read together: ticks and promise reactions run after each, so that
 * whoever awaits one message after the other misses none.
 */
import assert from "node:assert/strict";
import { on, once } from "node:events";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { until } from "../support/at-rest.ts";
import { RECEIVING, assertBatched } from "./modules.ts";
import { BURST, bound, burst, numberOf, senderTo } from "./sockets.ts";

const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

for (const dgram of RECEIVING) {
  const { name } = dgram;

  test(`${name}: ticks, then promise reactions, run after each message of a burst`, async (t) => {
    const socket = await bound(t, dgram);
    const order: string[] = [];
    socket.on("message", (message) => {
      const number = numberOf(message);
      order.push(`message ${number}`);
      void Promise.resolve().then(() => order.push(`reaction ${number}`));
      queueMicrotask(() => process.nextTick(() => order.push(`tick of a microtask ${number}`)));
      process.nextTick(() => {
        order.push(`tick ${number}`);
        void Promise.resolve().then(() => order.push(`reaction of a tick ${number}`));
      });
    });
    burst(await senderTo(t, socket));
    await until(
      () => order.length === BURST * 5,
      () => `${order.length / 5} of ${BURST}`,
    );
    const steps = ["message", "tick", "reaction", "reaction of a tick", "tick of a microtask"];
    assert.deepEqual(
      order,
      upTo(BURST).flatMap((i) => steps.map((step) => `${step} ${i}`)),
    );
    assertBatched(socket);
  });

  test(`${name}: once(socket, "message"), awaited again and again, sees every message of a burst`, async (t) => {
    const socket = await bound(t, dgram);
    const sender = await senderTo(t, socket);
    const numbers: number[] = [];
    const all = (async () => {
      for (let i = 0; i < BURST; i++) {
        const [message] = (await once(socket, "message")) as [Buffer];
        numbers.push(numberOf(message));
      }
    })();
    burst(sender);
    await all;
    assert.deepEqual(numbers, upTo(BURST));
    assertBatched(socket);
  });

  test(`${name}: on(socket, "message") iterates over a burst, and over what comes while it waits`, async (t) => {
    const controller = new AbortController();
    const socket = await bound(t, dgram);
    const sender = await senderTo(t, socket);
    const numbers: number[] = [];
    const iterate = async (): Promise<void> => {
      for await (const [message, rinfo] of on(socket, "message", { signal: controller.signal })) {
        assert.equal(Reflect.get(Object(rinfo), "size"), 16);
        numbers.push(numberOf(message as Buffer)); // the only kind of message
        if (numbers.length === 100) await turn();
        if (numbers.length === BURST) burst(sender, 20, BURST);
        if (numbers.length === BURST + 20) controller.abort();
      }
    };
    const done = assert.rejects(iterate, { name: "AbortError" });
    burst(sender);
    await done;
    assert.deepEqual(numbers, upTo(BURST + 20));
  });

  test(`${name}: on(socket, "message") with { close } ends when the socket does, after every message`, async (t) => {
    const socket = await bound(t, dgram);
    socket.on("message", (message) => {
      if (numberOf(message) === 49) socket.close();
    });
    burst(await senderTo(t, socket), 80);
    const numbers: number[] = [];
    const options: object = { close: ["close"] }; // our types do not know it
    for await (const [message] of on(socket, "message", options)) numbers.push(numberOf(message as Buffer)); // as above
    assert.deepEqual(numbers, upTo(50));
  });

  test(`${name}: a burst does not keep timers and other sockets waiting`, async (t) => {
    const [busy, other] = [await bound(t, dgram), await bound(t, dgram)];
    const [toBusy, toOther] = [await senderTo(t, busy), await senderTo(t, other)];
    let [count, ticks] = [0, 0];
    const timer = setInterval(() => ticks++, 1);
    t.after(() => clearInterval(timer));
    busy.on("message", () => {
      count++;
      if (count < 3000) toBusy.send(Buffer.alloc(16)); // always one more: never dry
    });
    const heard = once(other, "message").then(() => count);
    burst(toBusy, 20);
    toOther.send("me, too");
    assert.ok((await heard) < 3000, "the other socket has its turn before the busy one is done");
    await until(
      () => count >= 3000,
      () => `${count} messages`,
    );
    assert.ok(ticks > 0, "timers fire meanwhile");
  });

  test(`${name}: a listener that is async: all are under way together, rejections are the process's business`, async (t) => {
    const socket = await bound(t, dgram);
    let [underWay, most, done] = [0, 0, 0];
    socket.on("message", () => {
      void (async () => {
        most = Math.max(most, ++underWay);
        await turn();
        await turn();
        underWay--;
        done++;
      })();
    });
    burst(await senderTo(t, socket), 30);
    await until(() => done === 30, "all done");
    assert.ok(most > 1);
  });
}

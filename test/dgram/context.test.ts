/** Shows: listeners are called in the asynchronous context in which the socket was made, each message anew. */
import assert from "node:assert/strict";
import { AsyncLocalStorage, executionAsyncId } from "node:async_hooks";
import { once } from "node:events";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { until } from "../support/at-rest.ts";
import { MODULES } from "./modules.ts";
import { bound, burst, numberOf, open, portOf, senderTo } from "./sockets.ts";

const hasContextFrames = Number.parseInt(process.versions.node, 10) >= 24;

const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

for (const dgram of MODULES) {
  const { name } = dgram;

  test(`${name}: AsyncLocalStorage: the listener runs in the context in which the socket was made`, async (t) => {
    const storage = new AsyncLocalStorage<string>();
    const socket = storage.run("made", () => open(t, dgram));
    const seen: unknown[] = [];
    const listening = once(socket, "listening");
    storage.run("bound", () => socket.bind(0, "127.0.0.1"));
    await listening;
    storage.run("listened", () => socket.on("message", () => seen.push(storage.getStore())));
    const sender = await senderTo(t, socket);
    storage.run("sent", () => burst(sender, 40));
    await until(() => seen.length === 40, "all arrived");
    assert.deepEqual(new Set(seen), new Set(["made"]));
  });

  test(`${name}: AsyncLocalStorage: 'error' comes in the context in which the socket was made, too`, async (t) => {
    const gone = await bound(t, dgram);
    const port = portOf(gone);
    gone.close();
    const storage = new AsyncLocalStorage<string>();
    const socket = storage.run("made", () => open(t, dgram));
    storage.run("connected", () => socket.connect(port, "127.0.0.1"));
    await once(socket, "connect");
    const seen = new Promise<unknown>((resolve) => socket.on("error", () => resolve(storage.getStore())));
    storage.run("sent", () => socket.send("is anybody there?"));
    assert.equal(await seen, "made");
  });

  test(`${name}: AsyncLocalStorage: what a listener enters ends with its message, and goes on in what it awaits`, async (t) => {
    const storage = new AsyncLocalStorage<number>();
    const socket = await bound(t, dgram);
    const [before, after, ticks]: unknown[][] = [[], [], []];
    socket.on("message", (message) => {
      before?.push(storage.getStore());
      storage.enterWith(numberOf(message));
      process.nextTick(() => ticks?.push(storage.getStore()));
      void turn().then(() => after?.push(storage.getStore()));
    });
    burst(await senderTo(t, socket), 40);
    await until(() => after?.length === 40, "all arrived");
    // Before Node 24 it is the socket that keeps what is entered.
    assert.deepEqual(before, hasContextFrames ? Array<undefined>(40).fill(undefined) : [undefined, ...upTo(39)]);
    assert.deepEqual([ticks, after], [upTo(40), upTo(40)]);
  });

  test(`${name}: a message is a turn for async_hooks, too`, async (t) => {
    const socket = await bound(t, dgram);
    const ids: number[] = [];
    socket.on("message", () => ids.push(executionAsyncId()));
    burst(await senderTo(t, socket), 20);
    await until(() => ids.length === 20, "all arrived");
    assert.equal(new Set(ids).size, 1, "the socket's own");
    assert.notEqual(ids[0], 0);
  });
}

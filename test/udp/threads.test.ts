/** Shows: receivers work in threads, and whatever ends the thread, in traffic or not, gives port and descriptors back and harms nobody. With both engines. */
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import type { TestContext } from "node:test";
import { Worker } from "node:worker_threads";
import type { UdpEngine } from "../../src/udp/index.ts";
import { until } from "../support/at-rest.ts";
import { numbered, upTo, withEngines } from "../support/udp.ts";
import type { News, Order } from "./threads-worker.ts";

type Started = {
  readonly worker: Worker;
  readonly port: number;
  /** Everything that has arrived there. */
  readonly numbers: number[];
  readonly exit: Promise<number>;
  readonly send: (first: number, count: number) => void;
};

async function start(t: TestContext, engine: UdpEngine, atLast: Order["atLast"]): Promise<Started> {
  const workerData: Order = { engine, atLast };
  const worker = new Worker(new URL("./threads-worker.js", import.meta.url), { workerData });
  t.after(() => worker.terminate());
  const exit = new Promise<number>((resolve) => worker.once("exit", resolve));
  const [{ port }] = (await once(worker, "message")) as [{ port: number }];
  const numbers: number[] = [];
  worker.on("message", (news: News) => void ("numbers" in news && numbers.push(...news.numbers)));
  const sender = createSocket("udp4");
  t.after(() => sender.close());
  sender.connect(port, "127.0.0.1");
  await once(sender, "connect");
  sender.on("error", () => {}); // refusals, once the thread has ended
  const send = (first: number, count: number): void => {
    for (let i = first; i < first + count; i++) sender.send(numbered(i));
  };
  return { worker, port, numbers, exit, send };
}

/** Fails unless somebody else can have `port` now. */
async function assertFree(port: number): Promise<void> {
  const socket = createSocket("udp4").bind(port, "127.0.0.1");
  await once(socket, "listening");
  socket.close();
}

const descriptors = (): number => (process.platform === "linux" ? readdirSync("/proc/self/fd").length : 0);

withEngines("a thread receives, and ends when its receiver closes, or is unreferenced", async (t, engine) => {
  for (const atLast of ["close", "unref"] as const) {
    const { port, numbers, exit, send } = await start(t, engine, atLast);
    send(0, 50);
    await until(() => numbers.length === 50, "the first half");
    send(50, 50);
    assert.equal(await exit, 0);
    assert.deepEqual(numbers, upTo(100));
    await assertFree(port);
  }
});

withEngines("process.exit, and an error that nobody catches, in a callback", async (t, engine) => {
  for (const [atLast, code] of [
    ["exit", 5],
    ["throw", 1],
  ] as const) {
    const { worker, port, exit, send } = await start(t, engine, atLast);
    const errors: unknown[] = [];
    worker.on("error", (error: unknown) => errors.push(error));
    send(0, 100);
    assert.equal(await exit, code);
    assert.deepEqual(errors.map(String), atLast === "throw" ? ["Error: in a batch"] : []);
    await assertFree(port);
  }
});

withEngines(
  "terminated in the middle of traffic, or while a promise is pending, again and again",
  async (t, engine) => {
    const before = descriptors();
    for (let i = 0; i < 4; i++) {
      const { worker, port, numbers, send } = await start(t, engine, i % 2 === 0 ? "go on" : "never settle");
      send(0, 150);
      await until(() => numbers.length > 0, "traffic flows");
      send(150, 100);
      await worker.terminate();
      await assertFree(port);
    }
    await until(
      () => descriptors() <= before + 4, // the senders are closed after the test
      () => `${descriptors()} descriptors, ${before} before`,
    );
  },
);

withEngines("several threads at a time, each with its own", async (t, engine) => {
  const threads = await Promise.all(upTo(2).map(() => start(t, engine, "close")));
  for (let sent = 0; sent < 100; sent += 20) {
    for (const { send } of threads) send(sent, 20);
    await until(() => threads.every(({ numbers }) => numbers.length === sent + 20), "all of it");
  }
  assert.deepEqual(await Promise.all(threads.map(({ exit }) => exit)), [0, 0]);
  for (const { numbers } of threads) assert.deepEqual(numbers, upTo(100));
});

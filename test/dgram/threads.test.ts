/** Shows: sockets in worker threads: they receive, keep the thread or let it end, and whatever ends the thread gives the port back. */
import assert from "node:assert/strict";
import nodeDgram from "node:dgram";
import { once } from "node:events";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { Worker } from "node:worker_threads";
import { until } from "../support/at-rest.ts";
import { MODULES } from "./modules.ts";
import type { Dgram } from "./modules.ts";
import type { Order } from "./thread-worker.ts";

type Started = {
  readonly worker: Worker;
  readonly port: number;
  readonly heard: string[];
  /** The thread's exit code, when it has ended. */
  readonly exit: Promise<unknown>;
  readonly send: (count: number) => void;
};

async function start(t: TestContext, { specifier }: Dgram, atThird: Order["atThird"]): Promise<Started> {
  const workerData: Order = { specifier, atThird };
  const worker = new Worker(new URL("./thread-worker.js", import.meta.url), { workerData });
  t.after(() => worker.terminate());
  const exit = new Promise<unknown>((resolve) => worker.once("exit", resolve));
  const [port] = (await once(worker, "message")) as [number];
  const heard: string[] = [];
  worker.on("message", (text: string) => heard.push(text));
  const sender = nodeDgram.createSocket("udp4");
  t.after(() => sender.close());
  sender.connect(port, "127.0.0.1");
  await once(sender, "connect");
  sender.on("error", () => {}); // refusals, once the thread has ended
  const send = (count: number): void => {
    for (let i = 0; i < count; i++) sender.send(String(i));
  };
  return { worker, port, heard, exit, send };
}

/** Fails unless somebody else can have `port` now. */
async function assertFree(port: number): Promise<void> {
  const socket = nodeDgram.createSocket("udp4").bind(port, "127.0.0.1");
  await once(socket, "listening");
  socket.close();
}

for (const dgram of MODULES) {
  const { name } = dgram;

  test(`${name}: a thread receives a burst, and ends when its socket is closed`, async (t) => {
    const { heard, exit, send, port } = await start(t, dgram, "close");
    send(3);
    assert.equal(await exit, 0);
    assert.deepEqual(heard, ["0", "1", "2"]);
    await assertFree(port);
  });

  test(`${name}: a thread ends when its socket is unreferenced`, async (t) => {
    const { exit, send, port } = await start(t, dgram, "unref");
    send(3);
    assert.equal(await exit, 0);
    await assertFree(port);
  });

  test(`${name}: an error in a listener ends the thread and is told to its parent`, async (t) => {
    const { worker, heard, exit, send, port } = await start(t, dgram, "throw");
    const error = once(worker, "error");
    send(50);
    assert.equal(Reflect.get(Object((await error)[0]), "message"), "the third");
    assert.equal(await exit, 1);
    assert.deepEqual(heard, ["0", "1", "2"]);
    await assertFree(port);
  });

  test(`${name}: process.exit in a listener ends the thread`, async (t) => {
    const { exit, send, port } = await start(t, dgram, "exit");
    send(50);
    assert.equal(await exit, 5);
    await assertFree(port);
  });

  test(`${name}: terminated in the middle of traffic, several times over`, async (t) => {
    for (let i = 0; i < 4; i++) {
      const { worker, heard, send, port } = await start(t, dgram, "go on");
      send(100);
      await until(() => heard.length > 0, "traffic flows");
      send(100);
      await worker.terminate();
      await assertFree(port);
    }
  });
}

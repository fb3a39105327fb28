/**
 * Shows: a receiver keeps its process, or its thread, alive, or not, as asked: while it reads, while its consumer is at work, while it waits for pages;
 * and an end at any moment is an end in order. With both engines.
 */
import assert from "node:assert/strict";
import { Worker } from "node:worker_threads";
import type { UdpEngine } from "../../src/udp/index.ts";
import { runChild, said } from "../support/udp-child.ts";
import { withEngines } from "../support/udp.ts";

/** What is told in each situation of process-worker.ts before the thread ends by itself. */
const expected: Record<string, readonly unknown[]> = {
  "a receiver keeps the thread": ["alive"],
  "unreferenced it does not": [],
  "unref, ref: it does": ["alive"],
  "the unref of the socket beneath counts": [],
  "a socket that was unreferenced before it was received from": [],
  "one that nobody iterates yet keeps the thread": ["alive"],
  "one whose consumer is at work keeps the thread": ["alive"],
  "one that waits for pages keeps the thread": ["alive"],
  "unreferenced while its consumer is at work": [],
  "unreferenced in its callback, after 50 datagrams": [50],
};

/** What a thread in that situation tells until it ends. */
function told(engine: UdpEngine, situation: string): Promise<unknown[]> {
  const worker = new Worker(new URL("./process-worker.js", import.meta.url), { workerData: { engine, situation } });
  const heard: unknown[] = [];
  worker.on("message", (what) => heard.push(what));
  return new Promise((resolve, reject) => {
    worker.once("error", reject);
    worker.once("exit", () => resolve(heard));
  });
}

withEngines("what keeps a thread, and what does not", async (_, engine) => {
  const entries = Object.keys(expected).map(async (situation) => [situation, await told(engine, situation)] as const);
  assert.deepEqual(Object.fromEntries(await Promise.all(entries)), expected);
});

const prelude = (engine: UdpEngine, onBatch: string): string => `
  const receiver = await bindUdp({ pool: new JumboPool(), engine: ${JSON.stringify(engine)}, address: "127.0.0.1" }, ${onBatch});`;
const traffic = `const sender = await senderTo(receiver); setInterval(() => sender.send("x"), 1);`;

withEngines("what keeps a process, and what does not", async (_, engine) => {
  const alive = `setTimeout(() => { say("alive"); receiver.close(); }, 150).unref();`;
  const outcomes = ["receiver.unref().ref();", "receiver.unref();"].map((script) =>
    said(prelude(engine, "() => {}") + script + alive),
  );
  assert.deepEqual(await Promise.all(outcomes), [["alive"], []]);
});

withEngines("process.exit, and an error that nobody catches, in a callback", async (_, engine) => {
  const [exit, thrown] = await Promise.all([
    runChild(prelude(engine, `() => { say("called"); process.exit(7); }`) + traffic),
    runChild(prelude(engine, `() => { throw new Error("mistake"); }`) + traffic),
  ]);
  assert.deepEqual([exit.code, exit.said], [7, ["called"]]);
  assert.equal(thrown.code, 1);
  assert.match(thrown.stderr, /Error: mistake/);
});

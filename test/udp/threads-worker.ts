/**
 * Not a test: a thread with a receiver, which tells its port, and then how much it has received; it does with its third batch what it is told to do.
 */
import { parentPort, workerData } from "node:worker_threads";
import { JumboPool } from "../../src/index.ts";
import { bindUdp } from "../../src/udp/index.ts";
import type { UdpEngine } from "../../src/udp/index.ts";
import { numbersOf } from "../support/udp.ts";

export type Order = {
  readonly engine: UdpEngine;
  readonly atLast: "close" | "unref" | "exit" | "throw" | "go on" | "never settle";
};
export type News = { readonly port: number } | { readonly numbers: number[] };

const { engine, atLast } = workerData as Order; // what the test started this thread with

function tell(news: News): void {
  parentPort?.postMessage(news); // oxlint-disable-line require-post-message-target-origin -- to a thread, not to a window
}

const pool = new JumboPool({ pageSizeBytes: 65_536 });
let count = 0;
const receiver = await bindUdp({ pool, engine, address: "127.0.0.1" }, (batch): unknown => {
  count += batch.length;
  tell({ numbers: numbersOf(batch) });
  if (count < 100) return undefined;
  if (atLast === "close") void receiver.close();
  if (atLast === "unref") receiver.unref();
  if (atLast === "exit") process.exit(5);
  if (atLast === "throw") throw new Error("in a batch");
  return atLast === "never settle" ? new Promise(() => {}) : undefined;
});
tell({ port: receiver.address().port });

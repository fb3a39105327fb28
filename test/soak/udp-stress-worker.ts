/** Not a test: one worker thread of the UDP stress. Usually terminated in the middle; when asked to end, it reports. */
import { parentPort, workerData } from "node:worker_threads";
import { Crowd } from "./udp-crowd.ts";

export type WorkerOrder = { readonly seed: number; readonly ports: Int32Array };

const { seed, ports } = workerData as WorkerOrder; // written by udp-stress.ts
const crowd = new Crowd(seed, ports);
process.on("uncaughtException", (error) => {
  if (!Crowd.isIntended(error)) crowd.problem(`uncaught in a worker: ${error.stack}`);
});
parentPort?.once("message", () => void report());
tell("begins");

async function report(): Promise<void> {
  await crowd.end();
  tell(crowd.report);
}

function tell(what: unknown): void {
  parentPort?.postMessage(what); // oxlint-disable-line unicorn/require-post-message-target-origin -- a thread, not a window
}

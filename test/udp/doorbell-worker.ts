/** Not a test: a thread with a doorbell for a descriptor of the main thread's, which is readable; it tells when it has rung three times. */
import { parentPort, workerData } from "node:worker_threads";
import { Doorbell } from "../../src/udp/doorbell.ts";

const { fd, ending } = workerData as { fd: number; ending: "close" | "terminate" | "exit" | "throw" }; // what the test started this thread with

let rings = 0;
const bell = new Doorbell(() => {
  if (++rings !== 3) return;
  parentPort?.postMessage(rings); // oxlint-disable-line require-post-message-target-origin -- to a thread, not to a window
  if (ending === "close") bell.close();
  if (ending === "exit") process.exit(0);
  if (ending === "throw") throw new Error("thrown in a ring");
});
bell.watch(fd);

/** Not a test: a worker thread that receives. `workerData` says on which module, and what it does with the third message. */
import assert from "node:assert/strict";
import type nodeDgram from "node:dgram";
import { once } from "node:events";
import { parentPort, workerData } from "node:worker_threads";

export type Order = { readonly specifier: string; readonly atThird: "close" | "unref" | "throw" | "exit" | "go on" };

const port = parentPort ?? assert.fail("this is for a worker thread");
const { specifier, atThird } = workerData as Order;
const dgram = ((await import(specifier)) as { default: typeof nodeDgram }).default;
const socket = dgram.createSocket("udp4").bind(0, "127.0.0.1");
await once(socket, "listening");
let count = 0;
socket.on("message", (message) => {
  port.postMessage(String(message));
  if (++count !== 3) return;
  if (atThird === "close") socket.close();
  else if (atThird === "unref") socket.unref();
  else if (atThird === "throw") throw new Error("the third");
  else if (atThird === "exit") process.exit(5);
});
port.postMessage(socket.address().port);

/**
 * Not a test: a thread that receives 300,000 bytes while its consumer, which awaits, pauses the socket and resumes it.
 * A thread of its own, since a mistake here makes the event loop run in circles, and no timer would end the test.
 */
import { once } from "node:events";
import type net from "node:net";
import { setImmediate as turn } from "node:timers/promises";
import { parentPort, workerData } from "node:worker_threads";
import { JumboPool } from "../../src/index.ts";
import { receive } from "../../src/tcp/index.ts";
import type { TcpEngine } from "../../src/tcp/index.ts";
import { until } from "../support/at-rest.ts";
import { pattern } from "../support/pattern.ts";
import { portOf } from "../support/sockets.ts";
import { createServer, dial } from "../support/transports.ts";
import type { Transport } from "../support/transports.ts";

export type ResumeJob = {
  readonly engine: TcpEngine;
  readonly transport: Transport;
  /** When it resumes after it has paused; `never`: it does not pause. */
  readonly how: "never" | "at once" | "in a microtask" | "in a tick";
};

export type ResumeReport = { readonly bytes: number; readonly inUse: number };

function pauseAndResume(socket: net.Socket, how: ResumeJob["how"]): void {
  if (how === "never") return;
  socket.pause();
  if (how === "at once") socket.resume();
  if (how === "in a microtask") queueMicrotask(() => socket.resume());
  if (how === "in a tick") process.nextTick(() => socket.resume());
}

async function main({ engine, transport, how }: ResumeJob): Promise<void> {
  const pool = new JumboPool({ idleTrimMs: 0, pagesMax: 64 });
  let bytes = 0;
  let isClosed = false;
  const server = createServer(transport, (socket) => {
    receive(socket, { pool, engine }, async (m) => {
      bytes += m.length;
      pauseAndResume(socket, how);
      await turn();
    });
    socket.on("close", () => (isClosed = true));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const client = dial(transport, portOf(server));
  client.resume().end(pattern(0, 300_000));
  await until(
    () => isClosed && pool.stats().inUse === 0,
    () => `closed, at ${bytes}`,
  );
  pool.verify();
  const report: ResumeReport = { bytes, inUse: pool.stats().inUse };
  parentPort?.postMessage(report); // oxlint-disable-line require-post-message-target-origin -- to a thread, not to a window
  server.close();
}

await main(workerData as ResumeJob); // what the test started this thread with

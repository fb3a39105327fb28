/** A thread of its own with relays that are stalled, each with a pipe that is full: posts each, and goes on until it is terminated. */
import { once } from "node:events";
import net from "node:net";
import { parentPort } from "node:worker_threads";
import { relay } from "../../src/delivery/index.ts";
import { JumboPool } from "../../src/index.ts";
import { until } from "../support/at-rest.ts";
import { pattern } from "../support/pattern.ts";
import { portOf } from "../support/sockets.ts";

const RELAYS = 2;

const pool = new JumboPool();
const server = net.createServer().listen(0, "127.0.0.1");
await once(server, "listening");

async function pair(): Promise<{ near: net.Socket; far: net.Socket }> {
  const accepted = once(server, "connection");
  const far = net.connect(portOf(server), "127.0.0.1").pause();
  const [near] = (await accepted) as [net.Socket];
  return { near, far };
}

for (let i = 0; i < RELAYS; i++) {
  const source = await pair();
  const target = await pair();
  source.far.write(pattern(0, 30_000_000)); // more than the kernel keeps; nobody reads at the end
  const leg = relay(source.near, target.near, { pool, engine: "splice" });
  await until(() => leg.stats().pauses > 0, "stalled");
  parentPort?.postMessage("stalled"); // oxlint-disable-line unicorn/require-post-message-target-origin -- a thread has no origin
}

/** A thread of its own with relays that are stalled, each with a pipe that is full: posts how many, and goes on until it is terminated. */
import net from "node:net";
import { parentPort } from "node:worker_threads";
import { relay } from "../../src/delivery/index.ts";
import { JumboPool } from "../../src/index.ts";
import { pattern } from "../support/pattern.ts";

const RELAYS = 2;

const pool = new JumboPool();
const server = net.createServer().listen(0, "127.0.0.1", () => {
  for (let i = 0; i < RELAYS; i++) {
    const { port } = server.address() as net.AddressInfo; // it listens on TCP
    void connected(port).then(async (from) => {
      const to = await connected(port);
      from.far.write(pattern(0, 30_000_000)); // more than the kernel keeps; nobody reads at the end
      const leg = relay(from.near, to.near, { pool, engine: "splice" });
      const timer = setInterval(() => {
        if (leg.stats().pauses === 0) return;
        clearInterval(timer);
        parentPort?.postMessage("stalled");
      }, 1);
    });
  }
});
const waiting: ((near: net.Socket) => void)[] = [];
server.on("connection", (near) => waiting.shift()?.(near));

function connected(port: number): Promise<{ near: net.Socket; far: net.Socket }> {
  return new Promise((resolve) => {
    const far: net.Socket = net.connect(port, "127.0.0.1").pause();
    waiting.push((near) => resolve({ near, far }));
  });
}

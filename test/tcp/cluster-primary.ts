/** Not a test: the cluster of the lifecycle test. Two workers share a port and receive what the primary sends on four connections. */
import cluster from "node:cluster";
import { once } from "node:events";
import net from "node:net";
import { JumboPool } from "../../src/index.ts";
import { receive } from "../../src/tcp/index.ts";
import { pattern } from "../support/pattern.ts";
import { portOf } from "../support/sockets.ts";

type Report = { readonly bytes: number; readonly inUse: number };

const engine = process.argv[2] === "data" ? "data" : "onread";

if (cluster.isPrimary) await primary();
else worker();

async function primary(): Promise<void> {
  const workers = [cluster.fork(), cluster.fork()];
  const ports = await Promise.all(workers.map(async (each) => (await once(each, "message"))[0] as number));
  for (let i = 0; i < 4; i++) {
    const socket = net.connect(ports[0] ?? 0, "127.0.0.1");
    socket.resume().end(pattern(0, 100_000));
    await once(socket, "close");
  }
  const reports = await Promise.all(
    workers.map(async (each) => {
      each.send("report");
      return (await once(each, "message"))[0] as Report;
    }),
  );
  for (const each of workers) each.kill();
  process.send?.({
    bytes: reports.reduce((sum, { bytes }) => sum + bytes, 0),
    inUse: reports.reduce((sum, { inUse }) => sum + inUse, 0),
    workers: reports.filter(({ bytes }) => bytes > 0).length,
  });
}

function worker(): void {
  const pool = new JumboPool();
  let bytes = 0;
  const server = net.createServer((socket) => void receive(socket, { pool, engine }, (m) => void (bytes += m.length)));
  server.listen(0, "127.0.0.1", () => process.send?.(portOf(server)));
  process.on("message", () => process.send?.({ bytes, inUse: pool.stats().inUse } satisfies Report));
}

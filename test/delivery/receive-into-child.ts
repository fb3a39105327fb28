/**
 * Receives 5 MB into memory, has nothing else to do, and prints engine, reason and counters as JSON: for a process or a thread of its own. The last byte
 * is sent late: only the pending call keeps the process alive. With the argument "idle" it ends after the first target, its sender still there.
 */
import { once } from "node:events";
import net from "node:net";
import { receiveInto, receiveIntoEngine, zeroCopy } from "../../src/delivery/index.ts";
import { JumboPool } from "../../src/index.ts";

const BYTES = 5_000_000;
const pool = new JumboPool();
const server = net.createServer().listen(0, "127.0.0.1");
await once(server, "listening");
const far = net.connect((server.address() as net.AddressInfo).port, "127.0.0.1"); // it listens on TCP
const [near] = (await once(server, "connection")) as [net.Socket];
server.close();
far.unref();
far.write(Buffer.alloc(BYTES - 1));
if (process.argv[2] === "idle") {
  await receiveInto(near, new Uint8Array(BYTES - 1), { pool });
} else {
  setTimeout(() => far.write("."), 300).unref();
  await receiveInto(near, new Uint8Array(BYTES), { pool });
}
const { received, copied } = zeroCopy;
process.stdout.write(`${JSON.stringify({ ...receiveIntoEngine(near), received, copied })}\n`);
if (process.argv[2] !== "idle") near.destroy();

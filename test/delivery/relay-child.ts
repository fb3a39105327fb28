/** Relays 5 MB from a socket to another, has nothing else to do, and prints the relay's counters as JSON: for a process or a thread of its own. */
import { once } from "node:events";
import net from "node:net";
import { relay } from "../../src/delivery/index.ts";
import { JumboPool } from "../../src/index.ts";

const BYTES = 5_000_000;

async function pair(): Promise<{ near: net.Socket; far: net.Socket }> {
  const server = net.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const far = net.connect((server.address() as net.AddressInfo).port, "127.0.0.1"); // it listens on TCP
  const [near] = (await once(server, "connection")) as [net.Socket];
  server.close();
  return { near, far };
}

const source = await pair();
const target = await pair();
const leg = relay(source.near, target.near, { pool: new JumboPool() });
let bytes = 0;
target.far.on("data", (chunk: Buffer) => (bytes += chunk.length));
// Nobody but the relay keeps the process alive while the sender is silent.
source.far.write(Buffer.alloc(BYTES - 1));
source.far.unref();
setTimeout(() => source.far.end("."), 300).unref();
await leg.done;
process.stdout.write(`${JSON.stringify([leg.stats()])}\n`);
if (leg.stats().bytesWritten !== BYTES) process.exitCode = 1;

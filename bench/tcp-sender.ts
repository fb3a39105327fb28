/**
 * What `c/tcp-sender.c` does, for machines without a C compiler: the same arguments, the same line with the port.
 *
 *     node dist/bench/tcp-sender.js bulk BYTES
 *     node dist/bench/tcp-sender.js messages CONNECTIONS SIZE RATE TOTAL
 */
import { once } from "node:events";
import net from "node:net";
import type { AddressInfo, Socket } from "node:net";
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";

const WRITE_BYTES = 256 * 1024;

async function accept(count: number): Promise<Socket[]> {
  const sockets: Socket[] = [];
  const server = net.createServer({ noDelay: true });
  const all = new Promise<void>((resolve) => {
    server.on("connection", (socket) => {
      if (sockets.push(socket) === count) resolve();
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  // A server that listens on a port has an AddressInfo.
  console.log((server.address() as AddressInfo).port);
  await all;
  server.close();
  return sockets;
}

async function sendBulk(bytes: number): Promise<void> {
  const [socket] = await accept(1);
  if (socket === undefined) return;
  const block = Buffer.alloc(WRITE_BYTES);
  for (let left = bytes; left > 0; left -= WRITE_BYTES) {
    if (!socket.write(left < WRITE_BYTES ? block.subarray(0, left) : block)) await once(socket, "drain");
  }
  socket.end();
}

/** Each tick sends what is due by now, so a late tick is made up for. */
async function sendMessages(connections: number, size: number, rate: number, total: number): Promise<void> {
  const sockets = await accept(connections);
  const message = Buffer.alloc(size);
  const start = performance.now();
  let sent = 0;
  while (sent < total) {
    const due = Math.min(total, Math.floor(((performance.now() - start) * rate) / 1000));
    for (; sent < due; sent++) sockets[sent % connections]?.write(message);
    await delay(1);
  }
  for (const socket of sockets) socket.end();
}

const [load, ...numbers] = process.argv.slice(2);
const [first = 0, size = 0, rate = 0, total = 0] = numbers.map(Number);
if (load === "bulk") await sendBulk(first);
else await sendMessages(first, size, rate, total);

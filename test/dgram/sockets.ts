/** Not a test: sockets of the module under test, and senders, senders' bursts and collectors for them. */
import assert from "node:assert/strict";
import nodeDgram from "node:dgram";
import type { RemoteInfo, Socket, SocketType } from "node:dgram";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { networkInterfaces } from "node:os";
import type { TestContext } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { until } from "../support/at-rest.ts";
import { assertEngine } from "./modules.ts";
import type { Dgram, Listener, Options } from "./modules.ts";

export type Message = { readonly bytes: Buffer; readonly rinfo: RemoteInfo };

/**
 * How many small datagrams fit into the receive buffer that Linux gives by default: 208 KiB, of which each takes 768 bytes,
 * and of which up to a quarter may not yet have been given back after earlier ones.
 */
export const BURST = 180;

export const LOOPBACK: Record<SocketType, string> = { udp4: "127.0.0.1", udp6: "::1" };

/** For the `skip` of a test: why there is no IPv6 here, or false. */
export const noIPv6: string | false = addresses().some(({ address }) => address === "::1")
  ? false
  : "this machine has no ::1";

/** The addresses of this machine; `zoned` is with the interface's name, as a link-local one is used. */
export function addresses(): { readonly address: string; readonly zoned: string }[] {
  return Object.entries(networkInterfaces()).flatMap(([name, each = []]) =>
    each.map(({ address }) => ({ address, zoned: `${address}%${name}` })),
  );
}

/** A socket that is closed after the test, if it is not before. */
export function open(
  t: TestContext,
  dgram: Dgram,
  options: SocketType | Options = "udp4",
  listener?: Listener,
): Socket {
  const socket = dgram.createSocket(options, listener);
  let isClosed = false;
  socket.once("close", () => (isClosed = true));
  t.after(async () => {
    if (isClosed) return;
    await Promise.race([socket[Symbol.asyncDispose](), once(socket, "close")]);
  });
  return socket;
}

/** An open socket, bound to a free port of the loopback interface. */
export async function bound(t: TestContext, dgram: Dgram, options: SocketType | Options = "udp4"): Promise<Socket> {
  const socket = open(t, dgram, options);
  socket.bind({ port: 0, address: LOOPBACK[typeof options === "string" ? options : options.type] });
  await once(socket, "listening");
  assertEngine(socket);
  return socket;
}

/** A socket of Node's own that is connected to `receiver`: what it sends has been sent when `send` returns. */
export async function senderTo(t: TestContext, receiver: Socket, type: SocketType = "udp4"): Promise<Socket> {
  const sender = nodeDgram.createSocket(type);
  t.after(() => sender.close());
  sender.connect(portOf(receiver), LOOPBACK[type]);
  await once(sender, "connect");
  return sender;
}

export function portOf(socket: Socket): number {
  return socket.address().port;
}

/** The message with number `index`, of `length` bytes (at least 4): every byte tells whose it is. */
export function numbered(index: number, length = 16): Buffer {
  const bytes = Buffer.alloc(length, index % 251);
  bytes.writeUInt32LE(index);
  return bytes;
}

export function numberOf(message: Uint8Array): number {
  return Buffer.from(message.buffer, message.byteOffset, message.byteLength).readUInt32LE();
}

/** Sends the messages `first` … `first + count − 1` in this very turn, so that they are there together. */
export function burst(sender: Socket, count: number = BURST, first = 0, length = 16): void {
  for (let i = first; i < first + count; i++) sender.send(numbered(i, length));
}

/** The next `count` messages of `socket`. */
export async function collect(socket: Socket, count: number): Promise<Message[]> {
  const messages: Message[] = [];
  const listener = (bytes: Buffer, rinfo: RemoteInfo): void => {
    messages.push({ bytes, rinfo });
    if (messages.length === count) socket.off("message", listener);
  };
  socket.on("message", listener);
  await until(
    () => messages.length === count,
    () => `${messages.length} of ${count} messages arrived`,
  );
  return messages;
}

/** The next message of `socket`, as text. */
export async function text(socket: Socket): Promise<string> {
  const [message] = await collect(socket, 1);
  return String(message?.bytes);
}

/** Resolves when the system holds nothing more for `socket` and what was read has been delivered: anything surplus would be there now. */
export async function drained(socket: Socket): Promise<void> {
  const port = portOf(socket);
  if (process.platform === "linux")
    await until(
      () => queuedBytes(port) === 0,
      () => `${queuedBytes(port)} bytes are queued`,
    );
  for (let i = 0; i < 10; i++) await turn();
}

/** What waits in the kernel's receive queues of `port`: column rx_queue of /proc/net/udp. */
function queuedBytes(port: number): number {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const lines = ["/proc/net/udp", "/proc/net/udp6"].flatMap((file) => readFileSync(file, "utf8").split("\n").slice(1));
  const queues = lines.map((line) => line.trim().split(/\s+/)).filter(([, local]) => local?.endsWith(suffix) === true);
  return queues.reduce((sum, [, , , , queue]) => sum + Number.parseInt(queue?.split(":")[1] ?? "0", 16), 0);
}

/** What a JavaScript program may pass although the types forbid it. */
export function wrong(value: unknown): never {
  return value as never; // that is the point
}

/** Calls a method with arguments that the types forbid, or a method that our types of Node do not know yet. */
export function call(socket: Socket, method: string, ...args: unknown[]): unknown {
  const found: unknown = Reflect.get(socket, method);
  assert(typeof found === "function");
  return Reflect.apply(found, socket, args);
}

/** The error that `socket` emits next. */
export async function errorOf(socket: Socket): Promise<NodeJS.ErrnoException> {
  const [error] = (await once(socket, "error")) as [unknown];
  assert(error instanceof Error);
  return error;
}

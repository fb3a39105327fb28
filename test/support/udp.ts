/** UDP on loopback: receivers and senders that a test closes behind itself, and datagrams that say which they are. */
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import type { Socket, SocketType } from "node:dgram";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { test } from "node:test";
import type { TestContext, TestOptions } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { IPPROTO_UDP, UDP_SEGMENT, loadUdpCalls } from "../../src/os/udp-calls.ts";
import type { UdpCalls } from "../../src/os/udp-calls.ts";
import { bindUdp } from "../../src/udp/index.ts";
import type { OnBatch, UdpBatch, UdpEngine, UdpOptions, UdpReceiver } from "../../src/udp/index.ts";
import { handleOf } from "../../src/udp/node-internals.ts";
import { until } from "./at-rest.ts";
import { pattern } from "./pattern.ts";

/** Both engines must pass the same tests. */
export const ENGINES: readonly UdpEngine[] = ["recvmmsg", "dgram"];

const found = loadUdpCalls();

/** For the `skip` of a test that needs system calls: why there are none, or false. */
export const noCalls: string | false = found.calls === null && `no system calls: ${found.reason}`;

/** For the `skip` of a test that needs IPv6: why there is none, or false. */
export const noIPv6: string | false =
  !Object.values(networkInterfaces()).some((each) => each?.some(({ address }) => address === "::1")) &&
  "this machine has no ::1";

export function skipFor(engine: UdpEngine): string | false {
  return engine === "recvmmsg" && noCalls;
}

/** The same test with each engine. */
export function withEngines(
  what: string,
  body: (t: TestContext, engine: UdpEngine) => Promise<void>,
  options: TestOptions = {},
): void {
  for (const engine of ENGINES) {
    const skip = options.skip === undefined || options.skip === false ? skipFor(engine) : options.skip;
    test(`${engine}: ${what}`, { ...options, skip }, (t) => body(t, engine));
  }
}

/** The system calls, for tests that are skipped without them. */
export function udpCalls(): UdpCalls {
  assert(found.calls !== null, "tests that need system calls are skipped without them");
  return found.calls;
}

/** A receiver on a free port of the loopback interface with a big receive buffer, closed after the test. */
export async function receiverOn(t: TestContext, options: UdpOptions, onBatch?: OnBatch): Promise<UdpReceiver> {
  const receiver = await bindUdp({ address: "127.0.0.1", recvBufferBytes: 2_000_000, ...options }, onBatch);
  t.after(() => receiver.close());
  if (options.engine !== undefined && options.engine !== "auto") assert.equal(receiver.stats().engine, options.engine);
  return receiver;
}

export function portOf({ socket }: { readonly socket: Socket }): number {
  return socket.address().port;
}

/** A socket of Node's own, connected to `receiver`: what it sends has been sent when `send` returns. Closed after the test. */
export async function senderTo(t: TestContext, receiver: UdpReceiver, type: SocketType = "udp4"): Promise<Socket> {
  const sender = createSocket(type);
  t.after(() => sender.close());
  sender.connect(portOf(receiver), type === "udp4" ? "127.0.0.1" : "::1");
  await once(sender, "connect");
  return sender;
}

/** Has the kernel cut what `sender` sends into datagrams of `bytes` bytes (UDP_SEGMENT), so that a receiver may get them as one; 0: no more. */
export function segment(sender: Socket, bytes: number): void {
  setOption(sender, IPPROTO_UDP, UDP_SEGMENT, bytes);
}

export function setOption(socket: Socket, level: number, name: number, value: number): void {
  assert.equal(udpCalls().setOption(fdOf(socket), level, name, value), 0, `option ${name} of level ${level}`);
}

export function fdOf(socket: Socket): number {
  return handleOf(socket)?.fd ?? -1;
}

/** The datagram with number `index`: its first four bytes are the number, the others follow from it. */
export function numbered(index: number, length = 16): Buffer {
  assert(length >= 4);
  const bytes = Buffer.from(pattern(startOf(index), length));
  bytes.writeUInt32LE(index);
  return bytes;
}

/** Whose bytes these are: every one of them is looked at. @throws AssertionError when they are nobody's */
export function numberOf(bytes: Buffer): number {
  assert(bytes.length >= 4, `${bytes.length} bytes have no number`);
  const index = bytes.readUInt32LE();
  const start = startOf(index) + 4;
  assert(bytes.subarray(4).equals(pattern(start, bytes.length - 4)), `the bytes of datagram ${index} are intact`);
  return index;
}

const startOf = (index: number): number => index * 997;

/** The numbers of a batch's datagrams, in its order. */
export function numbersOf(batch: UdpBatch): number[] {
  return Array.from(batch, ({ bytes }) => numberOf(bytes));
}

export const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index);

/** What waits in the kernel's receive queue of `port`: column rx_queue of /proc/net/udp. 0 where there is no such file. */
export function queuedBytes(port: number): number {
  if (process.platform !== "linux") return 0;
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const lines = ["/proc/net/udp", "/proc/net/udp6"].flatMap((file) => readFileSync(file, "utf8").split("\n").slice(1));
  const queues = lines.map((line) => line.trim().split(/\s+/)).filter(([, local]) => local?.endsWith(suffix) === true);
  return queues.reduce((sum, [, , , , queue]) => sum + Number.parseInt(queue?.split(":")[1] ?? "0", 16), 0);
}

/** Resolves when the kernel holds nothing more for `receiver`, and what was read is delivered: anything more would be there now. */
export async function drained(receiver: UdpReceiver): Promise<void> {
  const port = portOf(receiver);
  await until(
    () => queuedBytes(port) === 0,
    () => `${queuedBytes(port)} bytes wait in the kernel`,
  );
  for (let i = 0; i < 10; i++) await turn();
}

/** What a JavaScript program may pass although the types forbid it. */
export function wrong(value: unknown): never {
  return value as never; // that is the point
}

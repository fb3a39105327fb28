/** Senders of datagrams, for tests of the command. */
import dgram from "node:dgram";
import type { TestContext } from "node:test";
import type { Random } from "../support/random.ts";
import { pattern } from "../support/pattern.ts";

/** A socket to send from, closed after the test. */
export function sender(t: TestContext, host = "127.0.0.1"): dgram.Socket {
  const socket = dgram.createSocket(host.includes(":") ? "udp6" : "udp4");
  socket.on("error", () => {}); // the receiver may be gone: what has not come is the test's business
  t.after(() => socket.close());
  return socket;
}

/** Sends one; resolves when the system has taken it, which on loopback means that it is in the receiver's buffer, or dropped. */
export function send(socket: dgram.Socket, bytes: Uint8Array, port: number, host = "127.0.0.1"): Promise<void> {
  return new Promise((resolve, reject) =>
    socket.send(bytes, port, host, (error) => (error === null ? resolve() : reject(error))),
  );
}

/** Sends all of `payloads`, one after the other. */
export async function sendAll(
  t: TestContext,
  payloads: readonly Uint8Array[],
  port: number,
  host = "127.0.0.1",
): Promise<dgram.Socket> {
  const socket = sender(t, host);
  for (const bytes of payloads) await send(socket, bytes, port, host);
  return socket;
}

/** Pieces of the pattern of these lengths, one behind the other. */
export function patternPieces(lengths: readonly number[]): Buffer[] {
  let offset = 0;
  return lengths.map((length) => {
    const piece = pattern(offset, length);
    offset += length;
    return piece;
  });
}

/** `count` lengths from 0 up, most of them short. */
export function randomLengths(random: Random, count: number, lengthMax: number): number[] {
  return Array.from({ length: count }, () => random.int(0, random.chance(0.2) ? lengthMax : Math.min(lengthMax, 1500)));
}

/** For `skip`: why there is no IPv6 here, or false. */
export function noIpv6(): Promise<string | false> {
  return new Promise((resolve) => {
    const probe = dgram.createSocket("udp6");
    probe.on("error", () => resolve("there is no IPv6 here"));
    probe.bind(0, "::1", () => probe.close(() => resolve(false)));
  });
}

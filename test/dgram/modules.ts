/** Not a test: the modules that must agree, and what the running Node has. */
import assert from "node:assert/strict";
import nodeDgram from "node:dgram";
import type { RemoteInfo, Socket, SocketOptions, SocketType } from "node:dgram";
import type { BlockList } from "node:net";
import * as jumbo from "../../src/dgram/index.ts";
import type { DgramStats } from "../../src/dgram/index.ts";
import { loadLibc } from "../../src/os/libc.ts";

/** With what later versions of Node than our types' have. */
export type Options = SocketOptions & {
  reusePort?: boolean;
  receiveBlockList?: BlockList;
  sendBlockList?: BlockList;
  /** Jumbo's own; Node takes no notice of it. */
  gro?: boolean;
};

export type Listener = (message: Buffer, rinfo: RemoteInfo) => void;

/** `dgram`, as one of the modules under test gives it. */
export type Dgram = {
  readonly name: string;
  /** For an import in another process or thread. */
  readonly specifier: string;
  readonly createSocket: (options: SocketType | Options, listener?: Listener) => Socket;
  readonly Socket: abstract new (...args: never[]) => Socket;
};

/** The overloads of Node's types, as one function: each of them is in the union. */
const createNodeSocket = nodeDgram.createSocket as Dgram["createSocket"];

const jumboUrl = new URL("../../src/dgram/index.js", import.meta.url).href;

/** The measure, and what is measured. */
export const MODULES: readonly Dgram[] = [
  { name: "node:dgram", specifier: "node:dgram", createSocket: createNodeSocket, Socket: nodeDgram.Socket },
  { name: "jumbo/dgram", specifier: jumboUrl, createSocket: jumbo.createSocket, Socket: jumbo.Socket },
];

const accelerations = new WeakMap<Socket, jumbo.Acceleration>();

/** Sockets of Node's own, as some library may make them, accelerated as soon as they are bound. */
function createAccelerated(options: SocketType | Options, listener?: Listener): Socket {
  const socket = createNodeSocket(options, listener);
  const { gro } = typeof options === "string" ? {} : options;
  return socket.once("listening", () => accelerations.set(socket, jumbo.accelerate(socket, { gro })));
}

/** For what the receive path alone decides: with the third way to have it. */
export const RECEIVING: readonly Dgram[] = [
  ...MODULES,
  { name: "accelerate()", specifier: "node:dgram", createSocket: createAccelerated, Socket: nodeDgram.Socket },
];

/** What jumbo counted for `socket`; null for a socket of Node's own. */
export function statsOf(socket: Socket): DgramStats | null {
  return socket instanceof jumbo.Socket ? socket.stats() : (accelerations.get(socket)?.stats() ?? null);
}

/** Fails when a bound jumbo socket is on Node's path although it need not be: Node would be tested against Node. */
export function assertEngine(socket: Socket): void {
  const stats = statsOf(socket);
  if (stats === null) return;
  const { libc, ...rest } = loadLibc();
  assert.equal(stats.engine, libc === null ? "dgram" : "recvmmsg", stats.engineReason ?? JSON.stringify(rest));
  assert.equal(stats.engineReason === null, libc !== null, "a reason exactly when the engine is the second choice");
}

/** A connected socket goes back to Node's path, and says so. */
export function assertConnectedEngine(socket: Socket): void {
  const stats = statsOf(socket);
  if (stats === null) return;
  assert.equal(stats.engine, "dgram");
  assert.match(stats.engineReason ?? "", loadLibc().libc === null ? /./ : /connected/);
}

/** Fails when a jumbo socket that uses `recvmmsg` has read its messages one at a time. */
export function assertBatched(socket: Socket): void {
  const stats = statsOf(socket);
  if (stats?.engine !== "recvmmsg") return;
  assert.ok(stats.batches < stats.datagrams, `${stats.datagrams} datagrams in ${stats.batches} batches`);
}

/** For the `skip` of a test: why this Node has no such option of a socket, or false. */
export function lacksOption(name: "reusePort" | "blockLists"): string | false {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  if (name === "reusePort") return major >= 23 || (major === 22 && minor >= 12) ? false : missing("reusePort");
  try {
    const options: object = { type: "udp4", receiveBlockList: "no list" };
    createNodeSocket(options as Options).close(); // wrong on purpose: only a Node that knows the option minds
    return missing("receiveBlockList and sendBlockList");
  } catch {
    return false;
  }
}

/** For the `skip` of a test: why sockets of this Node have no such method, or false. */
export function lacksMethod(name: string): string | false {
  return name in nodeDgram.Socket.prototype ? false : missing(`socket.${name}`);
}

function missing(what: string): string {
  return `Node ${process.versions.node} has no ${what}`;
}

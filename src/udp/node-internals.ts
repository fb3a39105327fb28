import { Socket, createSocket } from "node:dgram";

/**
 * What a `dgram` socket has under it. Private, and the same on Node 20 to 26 (26 has it only under a symbol): the descriptor, and a way to
 * stop Node's own reading.
 */
export type UdpHandle = {
  /** Negative when there is none (any more). */
  readonly fd: number;
  bind(address: string, port: number, flags: number): number;
  recvStart(): number;
  recvStop(): number;
  ref(): void;
  unref(): void;
  hasRef(): boolean;
  close(callback?: () => void): void;
  connect(address: string, port: number): number;
  connect6(address: string, port: number): number;
  send(...values: unknown[]): number;
  send6(...values: unknown[]): number;
  /** What Node calls when it has read a message, or with −errno in `status`. Delivers it to the socket. */
  onmessage: (status: number, handle: UdpHandle, bytes?: Buffer, rinfo?: object) => void;
};

type SocketState = { readonly handle: UdpHandle | null };

/** The majors whose internals this release was tested with. */
const MAJOR_MIN = 20;
const MAJOR_MAX = 26;

/** Either the class of such handles, or why there is none that we know. */
type HandlesOrReason = { readonly Handle: new () => UdpHandle } | { readonly Handle: null; readonly reason: string };

let found: HandlesOrReason | undefined;

function handles(): HandlesOrReason {
  return (found ??= findHandles());
}

/** Why the handles of `dgram` sockets cannot be used here; null when they can. Looked at once, on a socket of our own. */
export function whyNoHandles(): string | null {
  const known = handles();
  return known.Handle === null ? known.reason : null;
}

/** A handle that belongs to no socket. Only when {@link whyNoHandles} is null. */
export function makeHandle(): UdpHandle {
  const { Handle } = handles();
  if (Handle === null) throw new Error("there are no handles that we know");
  return new Handle();
}

/** Exported for its test. */
export function findHandles(
  makeSocket: () => object = makeProbe,
  version: string = process.versions.node,
): HandlesOrReason {
  const major = Number.parseInt(version, 10);
  const because = (reason: string): HandlesOrReason => ({ Handle: null, reason });
  if (!(major >= MAJOR_MIN && major <= MAJOR_MAX))
    return because(`the internals of Node ${version} have not been tested`);
  const probe = makeSocket();
  try {
    const state = stateOf(probe);
    if (state === null) return because(`a dgram socket of Node ${version} keeps its state in another way`);
    const { handle } = state;
    if (!isUdpHandle(handle)) return because(`the handle of a dgram socket of Node ${version} is another one`);
    return { Handle: handle.constructor as new () => UdpHandle }; // it has made this one
  } finally {
    if (probe instanceof Socket) probe.close();
  }
}

/** The handle of `socket`; null once it is closed. Only when {@link whyNoHandles} is null. */
export function handleOf(socket: Socket): UdpHandle | null {
  return stateOf(socket)?.handle ?? null;
}

function makeProbe(): Socket {
  return createSocket("udp4"); // it has no descriptor before it is bound
}

function stateOf(socket: object): SocketState | null {
  const symbol = Object.getOwnPropertySymbols(socket).find(({ description }) => description === "state symbol");
  const state: unknown = symbol === undefined ? undefined : Reflect.get(socket, symbol);
  return typeof state === "object" && state !== null && "handle" in state ? (state as SocketState) : null;
}

function isUdpHandle(handle: unknown): handle is UdpHandle {
  if (typeof handle !== "object" || handle === null) return false;
  const methods = [
    "bind",
    "recvStart",
    "recvStop",
    "ref",
    "unref",
    "hasRef",
    "close",
    "connect",
    "connect6",
    "send",
    "send6",
  ];
  return "fd" in handle && typeof handle.fd === "number" && methods.every((name) => isMethod(handle, name));
}

function isMethod(object: object, name: string): boolean {
  return typeof Reflect.get(object, name) === "function";
}

/**
 * Runs what Node runs between two callbacks of its own, timers for one: ticks, then promise reactions. Null on a Node that has it under
 * another name.
 */
export function findRunTicks(): (() => void) | null {
  const found: unknown = Reflect.get(process, "_tickCallback");
  return typeof found === "function" ? (found as () => void) : null; // checked to be a function; it takes nothing
}

/** Public API, but it answers by throwing. */
export function isConnected(socket: Socket): boolean {
  try {
    socket.remoteAddress();
    return true;
  } catch {
    return false;
  }
}

import { Socket } from "node:net";
import type { SocketConstructorOpts } from "node:net";

/**
 * The three symbols under which `net.Socket` keeps what its public `onread` option was given, and the method of the handle
 * beneath. Private, and the same on Node 20 to 26: they are what arms a socket that somebody else made.
 */
export type OnreadKeys = { readonly buffer: symbol; readonly callback: symbol; readonly generator: symbol };

/** The part of a stream handle that is used here. */
export type StreamHandle = {
  useUserBuffer(region: Uint8Array): void;
};

/**
 * True when the kernel fills the buffer, from the event loop and never from within one of our callbacks.
 *
 * TLS does otherwise: a write, even an empty one, may deliver what is decrypted, into the very buffer whose last contents the
 * consumer is looking at. Such handles are never given a page.
 */
export function isFilledByKernel(handle: StreamHandle): boolean {
  return ["TCP", "Pipe", "TTY"].includes(handle.constructor.name);
}

/** True when a TLS socket was put on top of this handle: it gets the bytes now, and must not lose them to a buffer of ours. */
export function isWrapped(handle: StreamHandle): boolean {
  return Object.getOwnPropertyDescriptor(handle, "reading")?.get !== undefined; // what tls does to the handle it wraps
}

export type KeysOrReason = { readonly keys: OnreadKeys } | { readonly keys: null; readonly reason: string };

/** The majors whose internals this release was tested with. A newer Node is received from through `'data'` until it was. */
const MAJOR_MIN = 20;
const MAJOR_MAX = 26;

/**
 * Finds the symbols on a socket made with the public option, and checks that each holds what the option was given.
 *
 * That is what can be tested before the first byte arrives. On each socket, at its end, the bytes that Node read are
 * compared with those that came to us; one mismatch switches the engine off (`giveUpOnread`).
 */
export function findOnreadKeys(
  makeSocket: typeof makeProbe = makeProbe,
  version: string = process.versions.node,
): KeysOrReason {
  const major = Number.parseInt(version, 10);
  if (!(major >= MAJOR_MIN && major <= MAJOR_MAX))
    return { keys: null, reason: `the internals of Node ${version} have not been tested` };
  const generate = (): Uint8Array => new Uint8Array(1);
  const receive = (): boolean => true;
  const probe = makeSocket(generate, receive);
  const byName = new Map(Object.getOwnPropertySymbols(probe).map((symbol) => [symbol.description, symbol]));
  const buffer = byName.get("kBuffer");
  const callback = byName.get("kBufferCb");
  const generator = byName.get("kBufferGen");
  if (buffer === undefined || callback === undefined || generator === undefined) {
    return { keys: null, reason: `net.Socket of Node ${version} has no kBuffer, kBufferCb, kBufferGen` };
  }
  if (Reflect.get(probe, callback) !== receive || Reflect.get(probe, generator) !== generate) {
    return { keys: null, reason: `net.Socket of Node ${version} keeps its onread option in another way` };
  }
  return { keys: { buffer, callback, generator } };
}

function makeProbe(buffer: () => Uint8Array, callback: () => boolean): object {
  const options: object = { onread: { buffer, callback } }; // documented for the constructor, but not in its declared type
  return new Socket(options satisfies SocketConstructorOpts);
}

/** The handle under `socket`: undefined while it has none, null when it is of a kind that cannot read into a user's buffer. */
export function handleOf(socket: Socket): StreamHandle | null | undefined {
  const handle: unknown = Reflect.get(socket, "_handle");
  if (handle === undefined || handle === null) return undefined;
  return isStreamHandle(handle) ? handle : null;
}

function isStreamHandle(handle: unknown): handle is StreamHandle {
  if (typeof handle !== "object" || handle === null) return false;
  return "useUserBuffer" in handle && typeof handle.useUserBuffer === "function";
}

let found: KeysOrReason = findOnreadKeys();

/** The process's answer: found at load, and taken back if a socket ever shows that it was wrong. */
export function onreadKeys(): KeysOrReason {
  return found;
}

/** Switches the `onread` engine off for this thread. */
export function giveUpOnread(reason: string): void {
  found = { keys: null, reason };
}

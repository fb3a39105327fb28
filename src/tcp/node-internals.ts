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
  readStop(): number;
  reading: boolean;
};

export type KeysOrReason = { readonly keys: OnreadKeys } | { readonly keys: null; readonly reason: string };

/**
 * Finds the symbols on a socket made with the public option, and checks that each holds what the option was given.
 * Whether reads then really arrive is seen on every socket: see `'data'` in `page-reader.ts`.
 */
export function findOnreadKeys(makeSocket: typeof makeProbe = makeProbe): KeysOrReason {
  const generate = (): Uint8Array => new Uint8Array(1);
  const receive = (): boolean => true;
  const probe = makeSocket(generate, receive);
  const byName = new Map(Object.getOwnPropertySymbols(probe).map((symbol) => [symbol.description, symbol]));
  const buffer = byName.get("kBuffer");
  const callback = byName.get("kBufferCb");
  const generator = byName.get("kBufferGen");
  if (buffer === undefined || callback === undefined || generator === undefined) {
    return { keys: null, reason: `net.Socket of Node ${process.version} has no kBuffer, kBufferCb, kBufferGen` };
  }
  if (Reflect.get(probe, callback) !== receive || Reflect.get(probe, generator) !== generate) {
    return { keys: null, reason: `net.Socket of Node ${process.version} keeps its onread option in another way` };
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
  const { useUserBuffer, readStop } = handle as Partial<Record<string, unknown>>; // only looked at
  return typeof useUserBuffer === "function" && typeof readStop === "function" && "reading" in handle;
}

/** The process's answer, found once. */
export const onreadKeys: KeysOrReason = findOnreadKeys();

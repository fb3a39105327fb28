import type { Socket } from "node:net";

/** The part of a socket's handle that is used here. Private, and the same on Node 20 to 26. */
export type SocketHandle = {
  /** Negative when there is none (any more). */
  readonly fd: number;
  /** Node's note of whether it reads. */
  reading: boolean;
  readStart(): number;
  readStop(): number;
};

/**
 * The handle under `socket`: null while it has none, once it is closed, or when it is of another kind than a kernel socket.
 *
 * Ask anew before each use of its descriptor: once the socket is destroyed the number may be another file's.
 */
export function handleOf(socket: Socket): SocketHandle | null {
  const handle: unknown = Reflect.get(socket, "_handle");
  return isSocketHandle(handle) ? handle : null;
}

/** The descriptor of `socket`; negative when it has none (any more). */
export function descriptorOf(socket: Socket): number {
  return handleOf(socket)?.fd ?? -1;
}

/** True when `socket` is a TCP connection of the kernel's. */
export function isTcp(socket: Socket): boolean {
  return handleOf(socket)?.constructor.name === "TCP";
}

/** Why the kernel cannot move bytes from or to `socket` without Node; null when it can. */
export function whyNoKernelSocket(socket: Socket): string | null {
  const handle: unknown = Reflect.get(socket, "_handle");
  if (handle === null || handle === undefined) return "a socket has no handle";
  if (!isSocketHandle(handle))
    return "a socket is no TCP or Unix socket of the kernel's, or Node's handle is another one";
  if (Object.getOwnPropertyDescriptor(handle, "reading")?.get !== undefined) return "a socket is under a TLS socket";
  return null;
}

function isSocketHandle(handle: unknown): handle is SocketHandle {
  if (typeof handle !== "object" || handle === null) return false;
  if (handle.constructor.name !== "TCP" && handle.constructor.name !== "Pipe") return false;
  const has = (name: string, type: string): boolean => typeof Reflect.get(handle, name) === type;
  return has("fd", "number") && has("readStart", "function") && has("readStop", "function");
}

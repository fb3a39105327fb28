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

/** A TCP connection's handle, as far as it is needed to end it. Private, and the same on Node 20 to 26. */
export type TcpHandle = {
  close(done?: () => void): void;
  /** 0, or why the system refuses. */
  reset(done?: () => void): number;
};

/** The handle of the TCP connection that `socket` is, or speaks TLS over; null when there is none. */
export function tcpHandleOf(socket: Socket): TcpHandle | null {
  const handle: unknown = Reflect.get(socket, "_handle");
  const tcp: unknown = isTls(handle) ? Reflect.get(handle, "_parent") : handle;
  return isTcpHandle(tcp) ? tcp : null;
}

/** Why the kernel cannot move bytes from or to `socket` without Node; null when it can. */
export function whyNoKernelSocket(socket: Socket): string | null {
  const handle: unknown = Reflect.get(socket, "_handle");
  if (handle === null || handle === undefined) return "a socket has no handle";
  if (isTls(handle)) return "a socket speaks TLS, which Node encrypts";
  if (!isSocketHandle(handle))
    return "a socket is no TCP or Unix socket of the kernel's, or Node's handle is another one";
  if (Object.getOwnPropertyDescriptor(handle, "reading")?.get !== undefined) return "a socket is under a TLS socket";
  return null;
}

function isTls(handle: unknown): handle is object {
  return typeof handle === "object" && handle !== null && handle.constructor.name === "TLSWrap";
}

function isTcpHandle(handle: unknown): handle is TcpHandle {
  if (typeof handle !== "object" || handle === null || handle.constructor.name !== "TCP") return false;
  return typeof Reflect.get(handle, "close") === "function" && typeof Reflect.get(handle, "reset") === "function";
}

function isSocketHandle(handle: unknown): handle is SocketHandle {
  if (typeof handle !== "object" || handle === null) return false;
  if (handle.constructor.name !== "TCP" && handle.constructor.name !== "Pipe") return false;
  const has = (name: string, type: string): boolean => typeof Reflect.get(handle, name) === type;
  return has("fd", "number") && has("readStart", "function") && has("readStop", "function");
}

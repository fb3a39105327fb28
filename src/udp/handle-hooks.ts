import type { UdpHandle } from "./node-internals.ts";

export type HandleHooks = {
  readonly setRef?: (isRef: boolean) => void;
  /** The descriptor is still open. */
  readonly beforeClose?: () => void;
  readonly beforeConnect?: () => void;
  /** Asked before each send: false, when it would have to wait, and must not. Then it fails with EAGAIN. */
  readonly maySend?: () => boolean;
};

const EAGAIN = 11;

/**
 * Puts our own methods on a handle, each of which tells us and then does what the handle does: it is our doorbell that keeps the process alive, and it
 * has to go with the socket.
 *
 * On the handle, because every way to close a socket ends there: `close()`, also one that waited for the socket to be bound, a signal, a
 * cluster worker that disconnects.
 */
export function followHandle(handle: UdpHandle, { setRef, beforeClose, beforeConnect, maySend }: HandleHooks): void {
  if (setRef !== undefined) {
    before(handle, "ref", () => setRef(true));
    before(handle, "unref", () => setRef(false));
  }
  if (beforeClose !== undefined) before(handle, "close", beforeClose);
  if (beforeConnect !== undefined) {
    before(handle, "connect", beforeConnect);
    before(handle, "connect6", beforeConnect);
  }
  if (maySend === undefined) return;
  for (const name of ["send", "send6"] as const) {
    const send = handle[name].bind(handle);
    handle[name] = (...values) => (maySend() ? send(...values) : -EAGAIN);
  }
}

type Method = (...values: unknown[]) => unknown;

function before(handle: UdpHandle, name: "ref" | "unref" | "close" | "connect" | "connect6", hook: () => void): void {
  const method: Method = (handle[name] as Method).bind(handle); // whatever its arguments: they are passed on as they are
  const hooked: Method = (...values) => {
    hook();
    return method(...values);
  };
  Reflect.set(handle, name, hooked);
}

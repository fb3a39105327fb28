import type { UdpHandle } from "./node-internals.ts";

export type HandleHooks = {
  readonly setRef: (isRef: boolean) => void;
  /** The descriptor is still open. */
  readonly beforeClose: () => void;
};

/**
 * Puts our own `ref`, `unref` and `close` on a handle, each of which tells us and then does what the handle does: it is our doorbell that
 * keeps the process alive, and it has to go with the socket.
 *
 * On the handle, because every way to close a socket ends there: `close()`, also one that waited for the socket to be bound, a signal, a
 * cluster worker that disconnects.
 */
export function followHandle(handle: UdpHandle, hooks: HandleHooks): void {
  const ref = handle.ref.bind(handle);
  const unref = handle.unref.bind(handle);
  const close = handle.close.bind(handle);
  handle.ref = () => {
    hooks.setRef(true);
    ref();
  };
  handle.unref = () => {
    hooks.setRef(false);
    unref();
  };
  handle.close = (callback) => {
    hooks.beforeClose();
    close(callback);
  };
}

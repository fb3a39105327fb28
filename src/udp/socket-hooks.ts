import type { Socket } from "node:dgram";
import { JumboError } from "../errors.ts";

export type SocketHooks = {
  readonly setRef: (isRef: boolean) => void;
  /** The descriptor is still open. */
  readonly beforeClose: () => void;
};

const followed = new WeakSet<Socket>();

/** @throws JumboError `ERR_JUMBO_RECEIVER_ACTIVE` when somebody follows `socket` already */
export function checkUnfollowed(socket: Socket): void {
  if (!followed.has(socket)) return;
  throw new JumboError("ERR_JUMBO_RECEIVER_ACTIVE", "this socket is being received from already");
}

/**
 * Puts our own `ref`, `unref` and `close` on `socket`, each of which tells us and then does what the socket does: it is our doorbell that
 * keeps the process alive, and counters are read before the descriptor goes. They stay: the socket's end is ours.
 */
export function followSocket(socket: Socket, hooks: SocketHooks): void {
  followed.add(socket);
  const ref = socket.ref.bind(socket);
  const unref = socket.unref.bind(socket);
  const close = socket.close.bind(socket);
  socket.ref = () => {
    hooks.setRef(true);
    ref();
    return socket;
  };
  socket.unref = () => {
    hooks.setRef(false);
    unref();
    return socket;
  };
  socket.close = (callback) => {
    hooks.beforeClose();
    close(callback);
    return socket;
  };
}

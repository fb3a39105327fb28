import type { Socket } from "node:net";
import { tcpHandleOf } from "./socket-handle.ts";

/**
 * Destroys `socket` so that its peer sees a failure and no end, where the protocol can tell them apart: TCP, and TLS over it.
 *
 * TLS could tell by itself, as no close_notify is sent; but Node, among others, takes what comes without one for an end. A socket that
 * has written its last byte tells of its end, and is closed.
 */
export function reset(socket: Socket): void {
  const isEnding = socket.writableEnded && socket.writableLength === 0;
  const tcp = socket.destroyed || socket.connecting || isEnding ? null : tcpHandleOf(socket);
  // Not resetAndDestroy(), which there is none of for TLS. Both need what is seen to here: where the system refuses to reset, as it does
  // during a shutdown(2), Node never closes the handle (TCPWrap::Reset).
  if (tcp !== null) tcp.close = (done): void => void tcp.reset(done);
  socket.destroy();
}

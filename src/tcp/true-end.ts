import type { Socket } from "node:net";
import { takeSocketError } from "../os/socket-error.ts";
import { systemError } from "../os/system-error.ts";
import { handleOf } from "./node-internals.ts";

/** From here on Node tells of the reset by itself. */
const MENDED_MAJOR = 24;

/**
 * Makes a reset an error of `socket` that Node would take for an end: what came must not be taken for all there was.
 *
 *     bytes, RST ──▶ Node 20, 22: push(null), 'end'        a hang-up after a short read is an end to their libuv
 *                        └── here: the system is asked ──▶ ECONNRESET, as on Node 24 and later
 *
 * Only where there are system calls. Returns the function that ends it.
 */
export function watchEnd(socket: Socket): () => void {
  if (Number.parseInt(process.versions.node, 10) >= MENDED_MAJOR) return () => {};
  const push = socket.push.bind(socket);
  socket.push = (chunk: unknown, encoding?: BufferEncoding): boolean => {
    const errno = chunk === null ? takeSocketError(descriptorOf(socket)) : 0;
    if (errno === 0) return push(chunk, encoding);
    socket.destroy(systemError(errno, "read"));
    return false;
  };
  return () => Reflect.deleteProperty(socket, "push");
}

/** Negative when there is none, and for TLS, whose end is another one's. */
function descriptorOf(socket: Socket): number {
  const handle = handleOf(socket);
  const fd: unknown = handle ? Reflect.get(handle, "fd") : undefined;
  return handle?.constructor.name === "TCP" && typeof fd === "number" ? fd : -1;
}

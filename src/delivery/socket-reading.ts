import type { Socket } from "node:net";
import { handleOf } from "./socket-handle.ts";

/**
 * From here on Node reads nothing from `socket`, a connected one, until {@link giveReadingBack}: whoever takes it reads from the descriptor.
 *
 * Its stream is left waiting for a read that does not come, so neither `resume()` nor a listener starts another. Node goes on to write to
 * it, to time it out and to close it; it does not see what is read (`bytesRead`, idle timeouts), nor an end or error before it reads again.
 * @returns what Node has read already, in order
 */
export function takeReading(socket: Socket): Buffer[] {
  const chunks: Buffer[] = [];
  for (let chunk = readChunk(socket); chunk !== null; chunk = readChunk(socket)) chunks.push(chunk);
  handleOf(socket)?.readStop(); // in the same turn: nothing is read in between
  noteReading(socket, false);
  return chunks;
}

/** Lets Node read again. Nothing when the socket is closed. */
export function giveReadingBack(socket: Socket): void {
  handleOf(socket)?.readStart();
  noteReading(socket, true);
}

/** Begins the idle timeout of `socket` again, if it has one: what is moved without Node it does not see. */
export function keepAwake(socket: Socket): void {
  if (socket.timeout !== undefined && socket.timeout > 0) socket.setTimeout(socket.timeout);
}

/** What Node has read already; null when that is all. */
function readChunk(socket: Socket): Buffer | null {
  return socket.read() as Buffer | null; // no encoding is set, which was checked
}

function noteReading(socket: Socket, isReading: boolean): void {
  const handle = handleOf(socket);
  if (handle !== null) handle.reading = isReading;
}

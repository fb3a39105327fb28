import type { Socket } from "node:dgram";
import { JumboError } from "../errors.ts";

/** Sockets that are received from by us: by one receiver each, until they close, which is their end. */
const taken = new WeakSet<Socket>();

/** @throws JumboError `ERR_JUMBO_RECEIVER_ACTIVE` */
export function checkNotTaken(socket: Socket): void {
  if (!taken.has(socket)) return;
  throw new JumboError("ERR_JUMBO_RECEIVER_ACTIVE", "this socket is being received from already");
}

export function takeSocket(socket: Socket): void {
  taken.add(socket);
}

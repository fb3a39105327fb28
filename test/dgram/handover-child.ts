/** Not a test: takes a socket over from its parent and tells it the length of each message. */
import { Socket } from "node:dgram";

process.once("message", (_, handle: unknown) => {
  if (!(handle instanceof Socket)) throw new Error("no dgram socket was sent");
  handle.on("message", ({ length }) => process.send?.(length));
  process.send?.("taken");
});

/** `node:dgram`, received from in batches: a program changes one import line. */
import { accelerate } from "./acceleration.ts";
import { Socket, createSocket } from "./socket.ts";

export { Socket, accelerate, createSocket };
export type { AccelerateOptions, Acceleration, DgramStats } from "./acceleration.ts";
export type { MessageListener, Options } from "./socket.ts";
export type { BindOptions, RemoteInfo, SocketOptions, SocketType } from "node:dgram";

const dgram: {
  readonly Socket: typeof Socket;
  readonly createSocket: typeof createSocket;
  readonly accelerate: typeof accelerate;
} = { Socket, createSocket, accelerate };
export default dgram;

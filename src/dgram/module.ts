export { Socket, createSocket } from "./socket.ts";
export { accelerate } from "./acceleration.ts";
export type { AccelerateOptions, Acceleration, DgramStats } from "./acceleration.ts";
export type { MessageListener, Options } from "./socket.ts";
export type { BindOptions, RemoteInfo, SocketOptions, SocketType } from "node:dgram";

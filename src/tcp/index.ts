/** Receiving from TCP, TLS, Unix sockets and pipes into the pages of a pool. */
export { receive } from "./receive.ts";
export type { ReceiveOptions } from "./receive.ts";
export type { OnMbuf, Receiver } from "./receiver.ts";
export type { ReceiverStats } from "./receiver-stats.ts";
export type { TcpEngine } from "./reader.ts";
export type { Mbuf } from "../mbuf/mbuf.ts";

/** Received bytes on their way out, without a copy where there is a way: from socket to socket, and to files and streams. */
export { relay } from "./relay.ts";
export type { Relay, RelayOptions, RelayStats } from "./relay.ts";
export type { RelayEngine } from "./mover.ts";
export type { Mbuf, MbufChain } from "../mbuf/index.ts";
export type { ReceiveOptions } from "../tcp/index.ts";
export { writeTo } from "./write-to.ts";
export type { WriteOptions, WriteTarget } from "./write-to.ts";
export { ChainWriter } from "./chain-writer.ts";
export type { ChainWriterOptions } from "./chain-writer.ts";
export type { FileTarget } from "./file-target.ts";
export { duplexOf, readableOf, webStreamOf } from "./streams.ts";
export { receiveInto, receiveIntoEngine } from "./receive-into.ts";
export type { ReceiveIntoOptions } from "./receive-into.ts";
export type { IntoEngine } from "./into-source.ts";
export { moveInto } from "./move-into.ts";
export { zeroCopy } from "./zero-copy.ts";
export type { ZeroCopy } from "./zero-copy.ts";

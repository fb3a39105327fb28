/** Views over pages and other storage, alone and in chains: how received bytes travel, and how they are read. */
export { MbufChain } from "./chain.ts";
export type { Cursor } from "./cursor.ts";
export { Mbuf } from "./mbuf.ts";
export type { Storage } from "./storage.ts";

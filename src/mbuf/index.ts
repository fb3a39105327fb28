/** Views over pages and other storage: how received bytes travel. */
export type { Mbuf, Storage } from "./mbuf.ts";

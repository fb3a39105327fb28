/** Received bytes on their way out, without a copy where there is a way: from socket to socket. */
export { relay } from "./relay.ts";
export type { Relay, RelayOptions, RelayStats } from "./relay.ts";
export type { RelayEngine } from "./mover.ts";

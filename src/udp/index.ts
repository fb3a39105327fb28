/** Receiving from UDP into the pages of a pool, many datagrams at a time, and sending the same way. */
export { bindUdp } from "./bind.ts";
export { receiveUdp } from "./receive.ts";
export { UdpReceiver } from "./receiver.ts";
export { HeldDatagram, UdpDatagram } from "./datagram.ts";
export { UdpBatch } from "./batch.ts";
export type { MulticastGroup, UdpOptions, UdpReceiveOptions } from "./options.ts";
export type { OnBatch, UdpEvents } from "./receiver.ts";
export type { OutgoingDatagram, SendOptions, SentStats } from "./sender.ts";
export type { GroStats, UdpStats } from "./stats.ts";
export type { UdpEngine } from "./reader.ts";

/**
 * The headers that a UDP datagram travels under, made up again from what the system tells of it: RFC 791, 8200, 768, 1071.
 *
 *     IPv4   20 bytes │ UDP 8 bytes │ payload
 *     IPv6   40 bytes │ UDP 8 bytes │ payload
 */
export type Packet = {
  /** 4 bytes each, or 16 each. */
  readonly source: Uint8Array;
  readonly target: Uint8Array;
  readonly sourcePort: number;
  readonly targetPort: number;
  /** The two bits of the IP header, when they are known. */
  readonly ecn: number | null;
  /** Of the payload as it was sent, whether all of it is there or not. */
  readonly payloadBytes: number;
};

const IPV4_HEADER_BYTES = 20;
const IPV6_HEADER_BYTES = 40;
const UDP_HEADER_BYTES = 8;
export const PACKET_HEADER_BYTES_MAX: number = IPV6_HEADER_BYTES + UDP_HEADER_BYTES;

const UDP = 17;
/** How far the datagram could still have gone is not known; this is what most systems send. */
const HOPS = 64;
/** It was not, or is no more, in pieces. */
const DONT_FRAGMENT = 0x4000;

/** @returns how many bytes {@link writePacketHeaders} writes */
export function packetHeaderBytes({ source }: Packet): number {
  return (source.length === 4 ? IPV4_HEADER_BYTES : IPV6_HEADER_BYTES) + UDP_HEADER_BYTES;
}

/**
 * Writes the headers to `view` at `offset`. The checksum of UDP is 0 over IPv4, which means "none"; over IPv6 there must be one:
 * see {@link writeChecksum}, and until then it is 0xffff.
 */
export function writePacketHeaders(view: DataView, offset: number, packet: Packet): void {
  const udpBytes = UDP_HEADER_BYTES + packet.payloadBytes;
  const udp =
    packet.source.length === 4
      ? writeIPv4Header(view, offset, packet, udpBytes)
      : writeIPv6Header(view, offset, packet, udpBytes);
  view.setUint16(udp, packet.sourcePort);
  view.setUint16(udp + 2, packet.targetPort);
  view.setUint16(udp + 4, udpBytes);
  view.setUint16(udp + 6, packet.source.length === 4 ? 0 : 0xffff);
}

/** @returns where the UDP header begins */
function writeIPv4Header(view: DataView, offset: number, { source, target, ecn }: Packet, udpBytes: number): number {
  view.setUint16(offset, 0x4500 | (ecn ?? 0)); // version 4, 5 words
  view.setUint16(offset + 2, IPV4_HEADER_BYTES + udpBytes);
  view.setUint32(offset + 4, DONT_FRAGMENT);
  view.setUint32(offset + 8, (HOPS << 24) | (UDP << 16)); // checksum 0, for now
  writeAddress(view, offset + 12, source);
  writeAddress(view, offset + 16, target);
  view.setUint16(offset + 10, complement(sumOf(view, offset, IPV4_HEADER_BYTES)));
  return offset + IPV4_HEADER_BYTES;
}

function writeIPv6Header(view: DataView, offset: number, { source, target, ecn }: Packet, udpBytes: number): number {
  view.setUint32(offset, 0x6000_0000 | ((ecn ?? 0) << 20)); // version 6, traffic class, flow 0
  view.setUint16(offset + 4, udpBytes);
  view.setUint16(offset + 6, (UDP << 8) | HOPS);
  writeAddress(view, offset + 8, source);
  writeAddress(view, offset + 24, target);
  return offset + IPV6_HEADER_BYTES;
}

/** Bytes one by one: `TypedArray.set` costs more than sixteen of them. */
function writeAddress(view: DataView, offset: number, address: Uint8Array): void {
  for (let i = 0; i < address.length; i++) view.setUint8(offset + i, address[i]!); // i is below its length
}

/**
 * Computes the checksum of a datagram whose headers are at `offset` of `view`, and puts it in its place. The payload, all of it, is at
 * `payloadOffset` of `payload`.
 */
export function writeChecksum(
  view: DataView,
  offset: number,
  packet: Packet,
  payload: DataView,
  payloadOffset: number,
): void {
  const addresses = offset + (packet.source.length === 4 ? 12 : 8);
  const udp = offset + packetHeaderBytes(packet) - UDP_HEADER_BYTES;
  const pseudoHeader = sumOf(view, addresses, 2 * packet.source.length) + UDP + UDP_HEADER_BYTES + packet.payloadBytes;
  const sum = pseudoHeader + sumOf(view, udp, UDP_HEADER_BYTES) + sumOf(payload, payloadOffset, packet.payloadBytes);
  view.setUint16(udp + 6, complement(sum) || 0xffff); // 0 would mean "none"
}

/** The sum of the 16-bit words in a range, the last one filled up with a zero: below 2^32 for a packet. */
function sumOf(view: DataView, offset: number, length: number): number {
  const wordsEnd = offset + (length & ~3);
  let sum = 0;
  let at = offset;
  for (; at < wordsEnd; at += 4) {
    const two = view.getUint32(at);
    sum += (two >>> 16) + (two & 0xffff);
  }
  if ((length & 2) !== 0) {
    sum += view.getUint16(at);
    at += 2;
  }
  if ((length & 1) !== 0) sum += view.getUint8(at) << 8;
  return sum;
}

/** Folds the carries in, and turns every bit round. */
function complement(sum: number): number {
  let folded = sum;
  while (folded > 0xffff) folded = (folded & 0xffff) + Math.floor(folded / 0x1_0000);
  return ~folded & 0xffff;
}

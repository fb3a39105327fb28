import type { UdpDatagram } from "../udp/index.ts";
import type { Framing, LocalEnd } from "./framing.ts";
import { parseIpAddress } from "./ip-address.ts";
import { PACKET_HEADER_BYTES_MAX, packetHeaderBytes, writeChecksum, writePacketHeaders } from "./udp-packet.ts";
import type { Packet } from "./udp-packet.ts";

const FILE_HEADER_BYTES = 24;
const RECORD_HEADER_BYTES = 16;
/** pcap with nanoseconds; its own numbers are little-endian. */
const MAGIC_NANOSECONDS = 0xa1b2_3c4d;
/** No link layer: a record begins with the IP header. */
const LINKTYPE_RAW = 101;
/** No record is longer; the one that tcpdump takes. */
const SNAP_BYTES = 262_144;
/** Most sockets are talked to by a few; those that are not cost an address's parsing each. */
const ADDRESSES_MAX = 1024;
/** The clocks of a system that is set drift apart by more than this. */
const CLOCK_MS_MAX = 2;

/**
 * A capture (draft-ietf-opsawg-pcap) that Wireshark, tshark and tcpdump read: each datagram in an IP packet made up anew.
 *
 *     [ record header 16 │ IPv4 20 or IPv6 40 │ UDP 8 │ payload ]
 *
 * True are addresses, ports, lengths, ECN and payload. The time is that at which the datagram was read, the same for all of a
 * batch. What nobody knows any more is what most systems send: 64 hops, no flow label, not fragmented. The checksum of UDP
 * is 0, which over IPv4 means "none"; over IPv6, where there must be one, it is computed. A truncated datagram is a record that
 * is shorter than its packet, as in any capture: nobody can verify its checksum, which is 0xffff.
 */
export class PcapFraming implements Framing {
  readonly extension = "pcap";
  readonly wantsEverything = true;
  readonly fileHeader: Uint8Array = makeFileHeader();
  readonly trailer: Uint8Array = new Uint8Array(0);
  readonly headerBytesMax: number = RECORD_HEADER_BYTES + PACKET_HEADER_BYTES_MAX;
  readonly #clock = new WallClock();
  readonly #addresses = new Map<string, Uint8Array>();
  readonly #views = new WeakMap<ArrayBufferLike, DataView>();
  #seconds = 0;
  #nanoseconds = 0;

  beginBatch(): void {
    const ms = this.#clock.now();
    this.#seconds = Math.floor(ms / 1000);
    this.#nanoseconds = Math.floor((ms - this.#seconds * 1000) * 1e6);
  }

  writeHeader(datagram: UdpDatagram, local: LocalEnd, target: Buffer, offset: number): number {
    const packet = this.#packetOf(datagram, local);
    const headerBytes = packetHeaderBytes(packet);
    const view = this.#viewOf(target.buffer);
    const record = target.byteOffset + offset;
    view.setUint32(record, this.#seconds, true);
    view.setUint32(record + 4, this.#nanoseconds, true);
    view.setUint32(record + 8, headerBytes + datagram.length, true);
    view.setUint32(record + 12, headerBytes + packet.payloadBytes, true);
    writePacketHeaders(view, record + RECORD_HEADER_BYTES, packet);
    if (packet.source.length > 4 && !datagram.truncated) {
      const { bytes } = datagram;
      const payload = this.#viewOf(bytes.buffer);
      writeChecksum(view, record + RECORD_HEADER_BYTES, packet, payload, bytes.byteOffset);
    }
    return RECORD_HEADER_BYTES + headerBytes;
  }

  #packetOf(datagram: UdpDatagram, local: LocalEnd): Packet {
    const source = this.#parsed(datagram.address);
    const target = this.#parsed(datagram.localAddress ?? local.address);
    return {
      source,
      // A socket of both families, when it is not known which address the datagram was for: both are 0.
      target: target.length === source.length ? target : new Uint8Array(source.length),
      sourcePort: datagram.port,
      targetPort: local.port,
      ecn: datagram.ecn,
      payloadBytes: datagram.fullLength,
    };
  }

  #parsed(address: string): Uint8Array {
    let bytes = this.#addresses.get(address);
    if (bytes !== undefined) return bytes;
    if (this.#addresses.size === ADDRESSES_MAX) this.#addresses.clear();
    this.#addresses.set(address, (bytes = parseIpAddress(address)));
    return bytes;
  }

  /** Of a whole arena: there are as many as it has grown times. */
  #viewOf(buffer: ArrayBufferLike): DataView {
    let view = this.#views.get(buffer);
    if (view === undefined) this.#views.set(buffer, (view = new DataView(buffer)));
    return view;
  }
}

function makeFileHeader(): Uint8Array {
  const view = new DataView(new ArrayBuffer(FILE_HEADER_BYTES));
  view.setUint32(0, MAGIC_NANOSECONDS, true);
  view.setUint16(4, 2, true); // version 2.4; the words after it are 0
  view.setUint16(6, 4, true);
  view.setUint32(16, SNAP_BYTES, true);
  view.setUint32(20, LINKTYPE_RAW, true);
  return new Uint8Array(view.buffer);
}

/** The time of day in fractions of a millisecond; `Date.now()` has none, and the finer clock does not notice when the time is set. */
class WallClock {
  #offsetMs = performance.timeOrigin;

  /** Milliseconds since 1970. */
  now(): number {
    const coarse = Date.now();
    const fine = this.#offsetMs + performance.now();
    if (Math.abs(fine - coarse) <= CLOCK_MS_MAX) return fine;
    this.#offsetMs += coarse - fine;
    return coarse;
  }
}

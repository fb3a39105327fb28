import { addressOf } from "./address-of.ts";
import { findControl } from "./control-messages.ts";
import {
  CONTROL_ADDRESS,
  CONTROL_LENGTH,
  FLAGS,
  HEADER_WORDS,
  IOVECS_ADDRESS,
  IOVECS_COUNT,
  IOVEC_LENGTH,
  IOVEC_WORDS,
  MESSAGE_LENGTH,
  NAME_ADDRESS,
  NAME_LENGTH,
  writePointer,
} from "./message-header.ts";
import { SOCKET_ADDRESS_WORDS, formatAddress, readSocketAddress } from "./socket-address.ts";
import type { SocketAddress } from "./socket-address.ts";
import { IPPROTO_IP, IPPROTO_IPV6, IPPROTO_UDP, IP_PKTINFO, UDP_GRO } from "./udp-calls.ts";

const IP_TOS = 1;
const IPV6_PKTINFO = 50;
const IPV6_TCLASS = 67;
const MSG_TRUNC = 0x20;
const ECN_MASK = 3;

// Sizes in words of 32 bits. Each row has an mmsghdr, two iovecs, a name and a control area, each kind in an array of its own.
const HEADER = HEADER_WORDS; // a constant of this module, as V8 wants it where it is hot
const IOVECS = 2 * IOVEC_WORDS;
const NAME = 8;
const CONTROL = 64;
const NAME_BYTES = SOCKET_ADDRESS_WORDS * 4;
/** Room for what we ask for, GRO size (24), traffic class (24 and 24), local address (40), and for what others have asked the socket for. */
const CONTROL_BYTES = CONTROL * 4;

/** Addresses remembered of those who sent; then all are forgotten. */
const SOURCES_MAX = 4096;

/**
 * The vector of recvmmsg(2), and all that it points to but the buffers: one block of memory, off V8's heap.
 *
 *     row r   mmsghdr ─▶ name      who sent it
 *                     ─▶ iovec 0 ─▶ first buffer    (the caller's)
 *                        iovec 1 ─▶ second buffer   what does not fit the first one
 *                     ─▶ control   what else is told: segment size of GRO, ECN, local address
 *
 * The kernel writes here, and to the buffers, only during the system call, which is synchronous: so this object, which refers to the
 * block, must be alive then, and so must the pages. What a row says is good until the next {@link prepare}.
 */
export class ReceiveVector {
  readonly rows: number;
  /** Of the mmsghdr array. */
  readonly address: number;
  readonly #words: Int32Array;
  readonly #iovecs: number;
  readonly #names: number;
  readonly #controls: number;
  readonly #sources = new Map<number | string, SocketAddress>();
  #lastKey: number | string = -1;
  #lastSource: SocketAddress | null = null;
  #lastLocalKey = "";
  #lastLocal = "";

  constructor(rows: number) {
    this.rows = rows;
    const words = new Int32Array(new ArrayBuffer(rows * (HEADER + IOVECS + NAME + CONTROL) * 4));
    this.#words = words;
    this.address = addressOf(new Uint8Array(words.buffer));
    this.#iovecs = rows * HEADER;
    this.#names = this.#iovecs + rows * IOVECS;
    this.#controls = this.#names + rows * NAME;
    for (let row = 0; row < rows; row++) {
      const header = row * HEADER;
      writePointer(words, header + NAME_ADDRESS, this.#addressAt(this.#names + row * NAME));
      writePointer(words, header + IOVECS_ADDRESS, this.#addressAt(this.#iovecs + row * IOVECS));
      writePointer(words, header + CONTROL_ADDRESS, this.#addressAt(this.#controls + row * CONTROL));
      words[header + IOVECS_COUNT] = 2;
    }
    this.prepare(rows);
  }

  /** Points row `row` at its two buffers. Whoever does it keeps their pages until the row points elsewhere, or the vector is not used. */
  setBuffers(row: number, first: number, firstBytes: number, second: number, secondBytes: number): void {
    const iovecs = this.#iovecs + row * IOVECS;
    writePointer(this.#words, iovecs, first);
    this.#words[iovecs + IOVEC_LENGTH] = firstBytes;
    writePointer(this.#words, iovecs + IOVEC_WORDS, second);
    this.#words[iovecs + IOVEC_WORDS + IOVEC_LENGTH] = secondBytes;
  }

  /** Before each call: gives the first `count` rows their full name and control areas. The kernel writes there how much it used. */
  prepare(count: number): void {
    const words = this.#words;
    for (let header = 0; header < count * HEADER; header += HEADER) {
      words[header + NAME_LENGTH] = NAME_BYTES;
      words[header + CONTROL_LENGTH] = CONTROL_BYTES;
    }
  }

  /** How long the message was when it arrived (with MSG_TRUNC in the call), also when the buffers were too short. */
  lengthOf(row: number): number {
    return this.#words[row * HEADER + MESSAGE_LENGTH]! >>> 0;
  }

  isTruncated(row: number): boolean {
    return (this.#words[row * HEADER + FLAGS]! & MSG_TRUNC) !== 0;
  }

  /** True when nothing is in the control area: the usual case, and then there is no GRO. */
  hasNoControl(row: number): boolean {
    return this.#words[row * HEADER + CONTROL_LENGTH] === 0;
  }

  /** Into how many bytes each the message is to be cut (UDP_GRO); 0 when it is one datagram. */
  segmentBytesOf(row: number): number {
    const at = this.#find(row, IPPROTO_UDP, UDP_GRO, 4);
    return at < 0 ? 0 : Math.max(0, this.#words[at]!);
  }

  /** The two bits of explicit congestion notification (RFC 3168); null when they were not asked for. */
  ecnOf(row: number): number | null {
    let at = this.#find(row, IPPROTO_IP, IP_TOS, 1);
    if (at < 0) at = this.#find(row, IPPROTO_IPV6, IPV6_TCLASS, 4);
    return at < 0 ? null : this.#words[at]! & ECN_MASK;
  }

  /** The address it was sent to; null when it was not asked for. */
  localAddressOf(row: number): string | null {
    const at4 = this.#find(row, IPPROTO_IP, IP_PKTINFO, 12);
    if (at4 >= 0) return this.#localAddress(at4 + 2, 1);
    const at6 = this.#find(row, IPPROTO_IPV6, IPV6_PKTINFO, 20);
    return at6 < 0 ? null : this.#localAddress(at6, 4);
  }

  /** Who sent it. Made once for each source, not for each message: frozen, to be shared. */
  sourceOf(row: number): SocketAddress {
    const name = this.#names + row * NAME;
    const words = this.#words;
    const isIPv4 = words[row * HEADER + NAME_LENGTH]! <= 16;
    // Port and address of an IPv4 source are 48 bits, which a number holds exactly.
    const key = isIPv4
      ? (words[name]! >>> 16) * 2 ** 32 + (words[name + 1]! >>> 0)
      : words.subarray(name, name + SOCKET_ADDRESS_WORDS).join();
    if (this.#lastSource !== null && key === this.#lastKey) return this.#lastSource;
    let source = this.#sources.get(key);
    if (source === undefined) {
      if (this.#sources.size === SOURCES_MAX) this.#sources.clear();
      this.#sources.set(key, (source = Object.freeze(readSocketAddress(words, name))));
    }
    this.#lastKey = key;
    return (this.#lastSource = source);
  }

  /** The address in `count` words from `word` on. A socket is sent to at few addresses: the last one is remembered. */
  #localAddress(word: number, count: number): string {
    const key = this.#words.subarray(word, word + count).join();
    if (key !== this.#lastLocalKey) {
      this.#lastLocal = formatAddress(new Uint8Array(this.#words.buffer, word * 4, count * 4));
      this.#lastLocalKey = key;
    }
    return this.#lastLocal;
  }

  #find(row: number, level: number, type: number, dataBytes: number): number {
    const length = Math.min(this.#words[row * HEADER + CONTROL_LENGTH]!, CONTROL_BYTES);
    return findControl(this.#words, this.#controls + row * CONTROL, length, level, type, dataBytes);
  }

  #addressAt(word: number): number {
    return this.address + word * 4;
  }
}

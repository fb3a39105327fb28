import { addressOf } from "./address-of.ts";
import { CMSG_HEADER_BYTES } from "./control-messages.ts";
import {
  CONTROL_ADDRESS,
  CONTROL_LENGTH,
  HEADER_WORDS,
  IOVECS_ADDRESS,
  IOVECS_COUNT,
  IOVEC_LENGTH,
  IOVEC_WORDS,
  NAME_ADDRESS,
  NAME_LENGTH,
  writePointer,
} from "./message-header.ts";
import { writeSocketAddress } from "./socket-address.ts";
import { IPPROTO_UDP, UDP_SEGMENT } from "./udp-calls.ts";

/** Messages given to one system call at most. */
export const SEND_ROWS = 64;

// Sizes in words of 32 bits; each kind of thing in an array of its own. See receive-vector.ts.
const HEADER = HEADER_WORDS;
const IOVEC = IOVEC_WORDS;
const NAME = 8;
const CONTROL = 8;
const IOVECS = SEND_ROWS * HEADER;
const NAMES = IOVECS + SEND_ROWS * IOVEC;
const CONTROLS = NAMES + SEND_ROWS * NAME;
const WORDS = CONTROLS + SEND_ROWS * CONTROL;

/** What is shorter is copied beside the vector, which is faster than asking where it lies. */
const COPY_BYTES_MAX = 2048;
/** Addresses remembered in their written form; then all are forgotten. */
const TARGETS_MAX = 4096;

type Target = { readonly words: Int32Array; readonly bytes: number };

/**
 * The vector of sendmmsg(2): one block of memory, off V8's heap.
 *
 *     row   mmsghdr ─▶ name      where it goes; none on a connected socket
 *                   ─▶ iovec ──▶ the payload: a copy beside the vector, or the caller's bytes
 *                   ─▶ control   into how many bytes each the kernel is to cut it (UDP_SEGMENT)
 *
 * The kernel reads it during the system call only, which is synchronous. A row that points at the caller's bytes has to be sent before any code
 * of the caller's runs again (see {@link isUrgent}): it could change them, or give their memory away.
 */
export class SendVector {
  /** Rows that are filled. */
  count = 0;
  readonly address: number;
  readonly #words = new Int32Array(new ArrayBuffer(WORDS * 4));
  readonly #copies = Buffer.from(new ArrayBuffer(SEND_ROWS * COPY_BYTES_MAX));
  readonly #copiesAddress: number;
  /** The caller's bytes whose address is in the vector. */
  #referenced: Uint8Array | null = null;
  readonly #targets4 = new Map<string, Target | null>();
  readonly #targets6 = new Map<string, Target | null>();

  constructor() {
    const words = this.#words;
    this.address = addressOf(new Uint8Array(words.buffer));
    this.#copiesAddress = addressOf(this.#copies);
    for (let row = 0; row < SEND_ROWS; row++) {
      const header = row * HEADER;
      const control = CONTROLS + row * CONTROL;
      writePointer(words, header + IOVECS_ADDRESS, this.address + (IOVECS + row * IOVEC) * 4);
      words[header + IOVECS_COUNT] = 1;
      writePointer(words, header + CONTROL_ADDRESS, this.address + control * 4);
      words[control] = CMSG_HEADER_BYTES + 2;
      words[control + 2] = IPPROTO_UDP;
      words[control + 3] = UDP_SEGMENT;
    }
  }

  /**
   * Fills the next row; there must be one. `segmentBytes` 0: one datagram. Without `address`: where the socket is connected to.
   * @returns false, with nothing changed, when `address` is not an IP address of the family
   */
  add(bytes: Uint8Array, address: string | undefined, port: number, isIPv6: boolean, segmentBytes: number): boolean {
    const row = this.count;
    const header = row * HEADER;
    if (!this.#setName(header, row, address, port, isIPv6)) return false;
    const iovec = IOVECS + row * IOVEC;
    if (bytes.length <= COPY_BYTES_MAX) {
      this.#copies.set(bytes, row * COPY_BYTES_MAX);
      writePointer(this.#words, iovec, this.#copiesAddress + row * COPY_BYTES_MAX);
    } else {
      this.#referenced = bytes;
      writePointer(this.#words, iovec, addressOf(bytes)); // longer than 64 bytes: off V8's heap
    }
    this.#words[iovec + IOVEC_LENGTH] = bytes.length;
    this.#words[header + CONTROL_LENGTH] = segmentBytes === 0 ? 0 : CMSG_HEADER_BYTES + 8;
    this.#words[CONTROLS + row * CONTROL + 4] = segmentBytes;
    this.count++;
    return true;
  }

  /** The payload of `row`, as it was taken: what the caller has done to his bytes since is not in it. Good until the row is filled anew. */
  bytesOf(row: number): Uint8Array {
    const length = this.#words[IOVECS + row * IOVEC + IOVEC_LENGTH]!;
    if (length > COPY_BYTES_MAX && this.#referenced !== null) return this.#referenced;
    return this.#copies.subarray(row * COPY_BYTES_MAX, row * COPY_BYTES_MAX + length);
  }

  /** True when a row points at the caller's bytes. */
  get isUrgent(): boolean {
    return this.#referenced !== null;
  }

  /** Where the mmsghdr of `row` is. */
  addressOfRow(row: number): number {
    return this.address + row * HEADER * 4;
  }

  clear(): void {
    this.count = 0;
    this.#referenced = null;
  }

  #setName(header: number, row: number, address: string | undefined, port: number, isIPv6: boolean): boolean {
    const words = this.#words;
    if (address === undefined) {
      writePointer(this.#words, header + NAME_ADDRESS, 0);
      words[header + NAME_LENGTH] = 0;
      return true;
    }
    const target = this.#targetFor(address, isIPv6);
    if (target === null) return false;
    const name = NAMES + row * NAME;
    words.set(target.words, name);
    words[name] = (words[name]! & 0xffff) | (((port & 0xff) << 24) | ((port >> 8) << 16)); // big-endian
    writePointer(this.#words, header + NAME_ADDRESS, this.address + name * 4);
    words[header + NAME_LENGTH] = target.bytes;
    return true;
  }

  #targetFor(address: string, isIPv6: boolean): Target | null {
    const targets = isIPv6 ? this.#targets6 : this.#targets4;
    const known = targets.get(address);
    if (known !== undefined) return known;
    if (targets.size === TARGETS_MAX) targets.clear();
    const words = new Int32Array(new ArrayBuffer(128), 0, NAME);
    const bytes = writeSocketAddress(words, 0, address, 0, isIPv6);
    const target = bytes === 0 ? null : { words, bytes };
    targets.set(address, target);
    return target;
  }
}

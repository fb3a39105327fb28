import { JumboError } from "../errors.ts";
import { copyBytes } from "../memory/copy-bytes.ts";
import type { Mbuf } from "../mbuf/mbuf.ts";
import type { SocketAddress } from "../os/socket-address.ts";
import type { HeldLedger } from "./held-ledger.ts";

/**
 * What one read brought, in rows: a row is a message of the kernel's, one datagram or, with GRO, many of the same length.
 *
 *     row 0  [ datagram ]
 *     row 1  [ datagram | datagram | datagram | short ]        segmentBytesOf(1) apart
 *     row 2  [ ]                                               a datagram without bytes is a datagram
 */
export type DatagramRows = {
  readonly rowCount: number;
  /** Of all rows. */
  readonly datagramCount: number;
  readonly byteCount: number;
  /** Bytes that are there. */
  lengthOf(row: number): number;
  /** Bytes that were sent: more, when the page was too short. */
  fullLengthOf(row: number): number;
  /** 0: the row is one datagram. */
  segmentBytesOf(row: number): number;
  bytesOf(row: number, start: number, length: number): Buffer;
  /** The same bytes with a hold of their own. */
  mbufOf(row: number, start: number, length: number): Mbuf;
  pageNumberOf(row: number): number;
  sourceOf(row: number): SocketAddress;
  ecnOf(row: number): number | null;
  localAddressOf(row: number): string | null;
  /** The borrow is over: the pages go back, but for those that somebody holds. */
  giveBack(): void;
};

/**
 * The datagram at which an iteration of a batch is: one object, which moves on with the iteration.
 *
 * Borrowed, like the batch. {@link hold} it to keep the bytes where they are (which pins their page), {@link copy} to have
 * them in memory of your own.
 */
export class UdpDatagram {
  readonly #ledger: HeldLedger;
  #rows: DatagramRows | null;
  #row = 0;
  #start = 0;
  #length = 0;
  #isFresh = true;

  /** @internal Batches make datagrams. */
  constructor(rows: DatagramRows, ledger: HeldLedger) {
    this.#rows = rows;
    this.#ledger = ledger;
  }

  /**
   * Exactly the payload, where it was received: no copy. The memory is shared memory, some APIs refuse it (see README).
   * @throws JumboError `ERR_JUMBO_MBUF_RELEASED` when the borrow is over
   */
  get bytes(): Buffer {
    return this.#live().bytesOf(this.#row, this.#start, this.#length);
  }

  /** Bytes of payload that are there; 0 is a datagram too. */
  get length(): number {
    return this.#length;
  }

  /** Bytes of payload that were sent: more than {@link length} when it was {@link truncated}. */
  get fullLength(): number {
    return this.truncated ? this.#live().fullLengthOf(this.#row) - this.#start : this.#length;
  }

  /** True when it did not fit a page of the pool, and its end is lost. */
  get truncated(): boolean {
    const rows = this.#live();
    const isLast = this.#start + this.#length === rows.lengthOf(this.#row);
    return isLast && rows.lengthOf(this.#row) < rows.fullLengthOf(this.#row);
  }

  /** Who sent it. */
  get address(): string {
    return this.#live().sourceOf(this.#row).address;
  }

  get port(): number {
    return this.#live().sourceOf(this.#row).port;
  }

  get family(): "IPv4" | "IPv6" {
    return this.#live().sourceOf(this.#row).family;
  }

  /** The two ECN bits of the IP header, 0 to 3; null unless `ecn` was asked for and the engine can tell. */
  get ecn(): number | null {
    return this.#live().ecnOf(this.#row);
  }

  /** The address it was sent to; null unless `localAddress` was asked for and the engine can tell. */
  get localAddress(): string | null {
    return this.#live().localAddressOf(this.#row);
  }

  /**
   * Keeps this datagram beyond the borrow, in an object of its own. Its page stays out until it is released.
   * @throws JumboError `ERR_JUMBO_MBUF_RELEASED`
   */
  hold(): HeldDatagram {
    const rows = this.#live();
    const mbuf = rows.mbufOf(this.#row, this.#start, this.#length);
    return new HeldDatagram(mbuf, this, rows.pageNumberOf(this.#row), this.#ledger);
  }

  /**
   * The payload in memory of your own: pins nothing.
   * @throws JumboError `ERR_JUMBO_MBUF_RELEASED`
   */
  copy(): Buffer<ArrayBuffer> {
    return copyOf(this.bytes);
  }

  /** @internal Moves to the next datagram; false, when this is the last one: it stays here. */
  advance(): boolean {
    const rows = this.#live();
    const start = this.#start + this.#length;
    if (this.#isFresh || start >= rows.lengthOf(this.#row)) {
      const row = this.#isFresh ? 0 : this.#row + 1;
      if (row >= rows.rowCount) return false;
      this.#isFresh = false;
      this.#row = row;
      this.#start = 0;
    } else {
      this.#start = start;
    }
    const rest = rows.lengthOf(this.#row) - this.#start;
    const segment = rows.segmentBytesOf(this.#row);
    this.#length = segment > 0 && segment < rest ? segment : rest;
    return true;
  }

  /** @internal The next one is the first one. */
  rewind(): void {
    this.#isFresh = true;
  }

  /** @internal The borrow is over. */
  end(): void {
    this.#rows = null;
  }

  #live(): DatagramRows {
    if (this.#rows === null) throw borrowOver();
    return this.#rows;
  }
}

/**
 * A datagram that was kept: yours until you {@link release} it.
 *
 * It pins its page, 100 bytes or not; `stats().held` of the receiver tells how much is pinned in all.
 */
export class HeldDatagram {
  readonly address: string;
  readonly port: number;
  readonly family: "IPv4" | "IPv6";
  readonly length: number;
  readonly fullLength: number;
  readonly truncated: boolean;
  readonly ecn: number | null;
  readonly localAddress: string | null;
  readonly #mbuf: Mbuf;
  readonly #pageNumber: number;
  readonly #ledger: HeldLedger;
  #isReleased = false;

  /** @internal Takes over one hold of `mbuf`. */
  constructor(mbuf: Mbuf, from: UdpDatagram, pageNumber: number, ledger: HeldLedger) {
    this.#mbuf = mbuf;
    this.#pageNumber = pageNumber;
    this.#ledger = ledger;
    this.address = from.address;
    this.port = from.port;
    this.family = from.family;
    this.length = from.length;
    this.fullLength = from.fullLength;
    this.truncated = from.truncated;
    this.ecn = from.ecn;
    this.localAddress = from.localAddress;
    ledger.held(pageNumber, this.length);
  }

  /**
   * Exactly the payload, where it was received: no copy.
   * @throws JumboError `ERR_JUMBO_MBUF_RELEASED`
   */
  get bytes(): Buffer {
    if (this.#isReleased) throw released();
    return this.#mbuf.bytes;
  }

  /**
   * The same bytes as an mbuf, to be put into a chain, which takes a hold of its own. Let go by {@link release} here, not there.
   * @throws JumboError `ERR_JUMBO_MBUF_RELEASED`
   */
  get mbuf(): Mbuf {
    if (this.#isReleased) throw released();
    return this.#mbuf;
  }

  get isReleased(): boolean {
    return this.#isReleased;
  }

  /**
   * Lets it go.
   * @throws JumboError `ERR_JUMBO_MBUF_RELEASED` when it has been let go before
   */
  release(): void {
    if (this.#isReleased) throw released();
    this.#isReleased = true;
    this.#ledger.released(this.#pageNumber, this.length);
    this.#mbuf.release();
  }

  /** Same as {@link release}, but nothing when it was released inside the block: for `using kept = datagram.hold()`. */
  [Symbol.dispose](): void {
    if (!this.isReleased) this.release();
  }

  /**
   * The payload in memory of your own.
   * @throws JumboError `ERR_JUMBO_MBUF_RELEASED`
   */
  copy(): Buffer<ArrayBuffer> {
    return copyOf(this.bytes);
  }
}

function copyOf(bytes: Buffer): Buffer<ArrayBuffer> {
  const target = Buffer.allocUnsafeSlow(bytes.length);
  copyBytes(bytes, target, 0);
  return target;
}

function released(): JumboError {
  return new JumboError("ERR_JUMBO_MBUF_RELEASED", "this datagram has been released: its bytes may be somebody else's");
}

/** Every use of a datagram or batch after its borrow. */
export function borrowOver(): JumboError {
  const text = "the borrow of this batch is over: hold() or copy() the datagrams you need longer";
  return new JumboError("ERR_JUMBO_MBUF_RELEASED", text);
}

import { UdpDatagram, borrowOver } from "./datagram.ts";
import type { DatagramRows } from "./datagram.ts";
import type { HeldLedger } from "./held-ledger.ts";

/**
 * The datagrams that one read brought, in order of arrival.
 *
 * Borrowed: good until your callback returns, until the promise it returned settles, or until your `for await` moves on. Then every
 * use throws `ERR_JUMBO_MBUF_RELEASED`, but for what you took with `datagram.hold()` or `.copy()`.
 *
 * ```ts
 * for (const datagram of batch) count += datagram.bytes.readUInt16BE(0);    // one object for all, nothing is allocated
 * ```
 */
export class UdpBatch implements Iterable<UdpDatagram> {
  /** How many datagrams. */
  readonly length: number;
  /** Of all their payloads. */
  readonly byteCount: number;
  readonly #datagram: UdpDatagram;
  readonly #iterator: Iterator<UdpDatagram, undefined>;
  #isOver = false;

  /** @internal Receivers make batches. */
  constructor(rows: DatagramRows, ledger: HeldLedger) {
    this.length = rows.datagramCount;
    this.byteCount = rows.byteCount;
    const datagram = new UdpDatagram(rows, ledger);
    this.#datagram = datagram;
    const here: IteratorResult<UdpDatagram, undefined> = { value: datagram, done: false };
    const end: IteratorResult<UdpDatagram, undefined> = { value: undefined, done: true };
    this.#iterator = { next: () => (datagram.advance() ? here : end) };
  }

  /** From the first datagram on, as often as you like, one iteration at a time: all of them move the same object. */
  [Symbol.iterator](): Iterator<UdpDatagram, undefined> {
    if (this.#isOver) throw borrowOver();
    this.#datagram.rewind();
    return this.#iterator;
  }

  /** True once the borrow is over. */
  get isReleased(): boolean {
    return this.#isOver;
  }

  /** @internal The receiver's end of the borrow: the rows may be used for something else. */
  endBorrow(): void {
    this.#isOver = true;
    this.#datagram.end();
  }
}

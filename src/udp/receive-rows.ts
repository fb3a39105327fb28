import { addressOf } from "../os/address-of.ts";
import { ReceiveVector } from "../os/receive-vector.ts";
import type { SocketAddress } from "../os/socket-address.ts";
import type { UdpCalls } from "../os/udp-calls.ts";
import { Mbuf } from "../mbuf/mbuf.ts";
import type { Page } from "../pool/page.ts";
import type { JumboPool } from "../pool/pool.ts";
import type { DatagramRows } from "./datagram.ts";
import { SLOT_BYTES, SlotPages } from "./slot-pages.ts";
import { ViewCache } from "./view-cache.ts";

/** Messages taken by one system call at most. */
export const ROWS_MAX = 32;
/** {@link ReceiveRows.read} had no page to read into. */
export const NO_PAGES: number = Number.MIN_SAFE_INTEGER;
/** Kept for the next read, of each pool; without pages. */
const SPARE_MAX = 4;

/**
 * The pages under the rows of a {@link ReceiveVector}, and what the last read put there.
 *
 *     row r   first buffer: a slot of 2 KiB, side by side with those of the other rows      small datagrams share a page
 *             second buffer: the rest page, from byte 2,048 on                              what is longer goes on here
 *
 *     slots  ┌──────┬──────┬──────┬──────┬ ┄ ┐      rest page of row 2  ┌╌╌╌╌╌╌┬───────────────────────────┐
 *            │ row 0│ row 1│ row 2│ row 3│   │                          │▲ 2 KiB│ the rest of a long message │
 *            └──────┴──────┴──┬───┴──────┴ ┄ ┘                          └┼─────┴───────────────────────────┘
 *                             └─────────────── copied to its front ──────┘
 *
 * So every message is in one piece, up to a whole page of it, short ones are packed, and 2 KiB of a long one are copied.
 *
 * Laws: while armed, each row has a slot and a rest page, with one hold each for this object. A page whose bytes somebody else holds is
 * never read into again where those bytes are. Disarmed, it holds no page. Thread: owner only.
 */
export class ReceiveRows implements DatagramRows {
  static readonly #spare = new WeakMap<JumboPool, ReceiveRows[]>();
  rowCount = 0;
  datagramCount = 0;
  byteCount = 0;
  /** Rows of the last read with more than one datagram. */
  superCount = 0;
  truncatedCount = 0;
  readonly #pool: JumboPool;
  readonly #calls: UdpCalls;
  readonly #vector: ReceiveVector;
  readonly #views = new ViewCache(ROWS_MAX);
  readonly #slots: SlotPages;
  /** One for each row that was ever armed; `null` when given back. */
  readonly #rests: (Page | null)[] = [];
  /** Where each row's bytes are, of those that the last read filled. */
  readonly #pages: Page[] = [];
  readonly #offsets = new Int32Array(ROWS_MAX);
  readonly #lengths = new Int32Array(ROWS_MAX);
  readonly #segments = new Int32Array(ROWS_MAX);
  /** Addresses that the vector's rows point to. */
  readonly #slotAddresses = new Float64Array(ROWS_MAX);
  readonly #restAddresses = new Float64Array(ROWS_MAX);
  /** Of page 0: pages lie one behind the other, and never move. */
  #arenaAddress = 0;
  #armed = 0;

  private constructor(pool: JumboPool, calls: UdpCalls) {
    this.#pool = pool;
    this.#calls = calls;
    this.#vector = new ReceiveVector(ROWS_MAX);
    this.#slots = new SlotPages(pool);
  }

  /** Rows to read with: {@link giveBack} when the reading, and the borrow of what was read, is over. */
  static take(pool: JumboPool, calls: UdpCalls): ReceiveRows {
    return ReceiveRows.#spare.get(pool)?.pop() ?? new ReceiveRows(pool, calls);
  }

  giveBack(): void {
    this.disarm(0);
    let spare = ReceiveRows.#spare.get(this.#pool);
    if (spare === undefined) ReceiveRows.#spare.set(this.#pool, (spare = []));
    if (spare.length < SPARE_MAX) spare.push(this);
  }

  /**
   * Reads up to `rowsWanted` messages. Ends the borrow of what was read before: nobody may look at that any more.
   * @returns how many; −errno; {@link NO_PAGES} when the pool has none
   */
  read(fd: number, rowsWanted: number): number {
    this.#clear();
    const armed = this.#arm(rowsWanted);
    if (armed === 0) return NO_PAGES;
    this.#vector.prepare(armed);
    const count = this.#calls.receive(fd, this.#vector.address, armed);
    for (let row = 0; row < count; row++) this.#settle(row);
    this.#slots.use(this.rowCount);
    return count;
  }

  /** Gives back all pages but those of the first `rows` rows' messages. */
  disarm(rows: number): void {
    // Backwards: the page that goes back last goes out first, and each row finds its own again.
    for (let row = this.#rests.length - 1; row >= 0; row--) {
      const page = this.#rests[row];
      if (page === null || page === undefined || (row < rows && this.#pages[row] === page)) continue;
      this.#rests[row] = null;
      if (!page.isReleased) page.release(); // a pool closed by force has taken it from us
    }
    if (rows === 0) {
      this.#slots.disarm();
      this.#clear();
    }
    this.#armed = 0;
  }

  /** How many messages the last read could have taken. */
  get armed(): number {
    return this.#armed;
  }

  lengthOf(row: number): number {
    return this.#lengths[row]!;
  }

  fullLengthOf(row: number): number {
    return this.#vector.lengthOf(row);
  }

  segmentBytesOf(row: number): number {
    return this.#segments[row]!;
  }

  bytesOf(row: number, start: number, length: number): Buffer {
    const segment = this.#segments[row]!;
    const ordinal = segment === 0 ? 0 : start / segment;
    return this.#views.bytesOf(row, ordinal, this.#pages[row]!, this.#offsets[row]! + start, length);
  }

  mbufOf(row: number, start: number, length: number): Mbuf {
    const page = this.#pages[row]!;
    return new Mbuf(page.hold(), this.#offsets[row]! + start, length);
  }

  pageNumberOf(row: number): number {
    return this.#pages[row]!.number;
  }

  sourceOf(row: number): SocketAddress {
    return this.#vector.sourceOf(row);
  }

  ecnOf(row: number): number | null {
    return this.#vector.ecnOf(row);
  }

  localAddressOf(row: number): string | null {
    return this.#vector.localAddressOf(row);
  }

  #clear(): void {
    this.rowCount = 0;
    this.datagramCount = 0;
    this.byteCount = 0;
    this.superCount = 0;
    this.truncatedCount = 0;
  }

  /** Gives up to `rowsWanted` rows their buffers; leaves the pool the pages below its high watermark, if one row can be had with that. */
  #arm(rowsWanted: number): number {
    const spare = this.#pool.availablePages - this.#pool.highPages;
    const wanted = Math.max(1, Math.min(rowsWanted, Math.max(this.#armed, spare >> 1)));
    const rows = this.#slots.arm(wanted);
    let row = 0;
    while (row < rows && this.#armRest(row)) row++;
    for (let each = 0; each < row; each++) this.#point(each);
    this.#armed = row;
    return row;
  }

  /** A rest page for `row` that nobody else holds. */
  #armRest(row: number): boolean {
    const page = this.#rests[row] ?? null;
    if (page !== null && page.holdCount === 1) return true;
    this.#rests[row] = null; // before anything can throw: it is not ours any more
    if (page !== null && !page.isReleased) page.release(); // its last holder lets it go
    return (this.#rests[row] = this.#pool.alloc()) !== null;
  }

  /** Points the vector's row at its buffers, if they are others than before. */
  #point(row: number): void {
    const { pageSizeBytes } = this.#pool;
    const slotPage = this.#slots.pageOf(row);
    if (this.#arenaAddress === 0) this.#arenaAddress = addressOf(slotPage.bytes) - slotPage.number * pageSizeBytes;
    const slot = this.#arenaAddress + slotPage.number * pageSizeBytes + this.#slots.offsetOf(row);
    const rest = this.#arenaAddress + this.#rests[row]!.number * pageSizeBytes;
    if (slot === this.#slotAddresses[row] && rest === this.#restAddresses[row]) return;
    this.#slotAddresses[row] = slot;
    this.#restAddresses[row] = rest;
    this.#vector.setBuffers(row, slot, SLOT_BYTES, rest + SLOT_BYTES, pageSizeBytes - SLOT_BYTES);
  }

  /** Takes down what the kernel put into `row`, in one piece. */
  #settle(row: number): void {
    const fullLength = this.#vector.lengthOf(row);
    const length = Math.min(fullLength, this.#pool.pageSizeBytes);
    let page = this.#slots.pageOf(row);
    let offset = this.#slots.offsetOf(row);
    if (length > SLOT_BYTES) {
      const rest = this.#rests[row]!;
      page.bytes.copy(rest.bytes, 0, offset, offset + SLOT_BYTES);
      page = rest;
      offset = 0;
    }
    const segment = this.#vector.hasNoControl(row) ? 0 : this.#vector.segmentBytesOf(row);
    const isSuper = segment > 0 && segment < length;
    this.#pages[row] = page;
    this.#offsets[row] = offset;
    this.#lengths[row] = length;
    this.#segments[row] = isSuper ? segment : 0;
    this.rowCount++;
    this.datagramCount += isSuper ? Math.ceil(length / segment) : 1;
    this.byteCount += length;
    if (isSuper) this.superCount++;
    if (length < fullLength) this.truncatedCount++;
  }
}

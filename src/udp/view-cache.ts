import type { Page } from "../pool/page.ts";

/** Of one row: a super-datagram of Ethernet frames has 45. */
const VIEWS_PER_ROW = 64;

/**
 * Buffers over the places where datagrams usually lie, so that looking at one allocates nothing.
 *
 * A view is used again when it shows exactly the bytes that are asked for; what it shows is written down beside it, because asking a
 * typed array where it begins costs 40 ns on Node 20. Bounded by rows × 64 views.
 */
export class ViewCache {
  readonly #views: (Buffer | undefined)[];
  readonly #pages: Int32Array;
  readonly #offsets: Int32Array;
  readonly #lengths: Int32Array;

  constructor(rows: number) {
    const count = rows * VIEWS_PER_ROW;
    this.#views = Array.from({ length: count }, () => undefined);
    this.#pages = new Int32Array(count).fill(-1);
    this.#offsets = new Int32Array(count);
    this.#lengths = new Int32Array(count);
  }

  /** `length` bytes of `page` from `offset` on: the `ordinal`th view of this row. */
  bytesOf(row: number, ordinal: number, page: Page, offset: number, length: number): Buffer {
    if (ordinal >= VIEWS_PER_ROW) return page.bytes.subarray(offset, offset + length);
    const at = row * VIEWS_PER_ROW + ordinal;
    const isSame = this.#pages[at] === page.number && this.#offsets[at] === offset && this.#lengths[at] === length;
    return isSame ? this.#views[at]! : this.#make(at, page, offset, length);
  }

  #make(at: number, page: Page, offset: number, length: number): Buffer {
    this.#pages[at] = page.number;
    this.#offsets[at] = offset;
    this.#lengths[at] = length;
    return (this.#views[at] = page.bytes.subarray(offset, offset + length));
  }
}

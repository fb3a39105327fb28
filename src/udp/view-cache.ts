import type { Page } from "../pool/page.ts";

/** Of one row: a super-datagram of Ethernet frames has 45. */
const VIEWS_PER_ROW = 64;

/**
 * Buffers over the places where datagrams usually lie, so that looking at one allocates nothing.
 *
 * A view is used again when it shows exactly the bytes that are asked for: pages lie in one memory, so where a view begins
 * and how long it is say all. Bounded by rows × 64 views.
 */
export class ViewCache {
  readonly #rows: (Buffer | undefined)[][] = [];

  constructor(rows: number) {
    for (let row = 0; row < rows; row++) this.#rows.push([]);
  }

  /** `length` bytes of `page` from `offset` on: the `ordinal`th view of this row. */
  bytesOf(row: number, ordinal: number, page: Page, offset: number, length: number): Buffer {
    const views = this.#rows[row]!;
    const bytes = page.bytes;
    const view = views[ordinal];
    if (view !== undefined && view.byteOffset === bytes.byteOffset + offset && view.length === length) return view;
    const made = bytes.subarray(offset, offset + length);
    if (ordinal >= VIEWS_PER_ROW) return made;
    while (views.length <= ordinal) views.push(undefined); // grown, never sparse
    return (views[ordinal] = made);
  }
}

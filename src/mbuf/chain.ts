import type { Readable } from "node:stream";
import { JumboError } from "../errors.ts";
import { bytesOf, clampedIndex, needleOf, wholeBytes } from "./chain-arguments.ts";
import { appendBytes, prependBytes, pullup } from "./chain-room.ts";
import { areEqual, copyOut, dequeOver, find } from "./chain-search.ts";
import { ChainReadable } from "./chain-stream.ts";
import { Cursor } from "./cursor.ts";
import { Mbuf } from "./mbuf.ts";
import type { Segment } from "./segment.ts";
import { SegmentDeque } from "./segment-deque.ts";
import { letGo } from "./storage.ts";

/**
 * Bytes in pieces, wherever they lie: a row of segments, each a stretch of a page or of other storage. mbuf(9)
 *
 *     chain ──▶ [ page 7: 4000 bytes ][ page 2: 12 bytes ][ external: 900 bytes ]        lengthBytes = 4912
 *
 * **One rule of ownership.** A chain has a hold for each of its segments, and what you have in your hands you let go yourself. So a
 * method that takes an mbuf leaves it as it was and takes a hold of its own; a chain that a method returns is yours to
 * {@link release}; {@link concat} moves the other chain's segments and leaves it empty; bytes given as `Uint8Array` are copied.
 *
 * ```ts
 * const chain = new MbufChain();
 * receive(socket, { pool }, (m) => chain.append(m));  // the mbufs are borrowed; what they show stays with the chain
 * ```
 *
 * Storage that two show is written to by nobody; a chain copies where it would have to. Offsets and lengths are in bytes. No
 * operation recurses, none but those that say so copies, and none takes longer than O(segments it touches + log segments).
 * After its release every use throws `ERR_JUMBO_CHAIN_RELEASED`. Thread: that of the storages.
 */
export class MbufChain implements Iterable<Buffer>, AsyncIterable<Buffer> {
  readonly #deque = new SegmentDeque();

  /** How many bytes. */
  get lengthBytes(): number {
    return this.#live().lengthBytes;
  }

  /** How many segments: at most one for each mbuf that was put in. */
  get segmentCount(): number {
    return this.#live().count;
  }

  /** True from the release on, when every other use throws. */
  get isReleased(): boolean {
    return this.#deque.isReleased;
  }

  /** Bytes that {@link prepend} finds room for in front, without memory of its own; 0 while the first storage is shared. */
  get leadingSpaceBytes(): number {
    const deque = this.#live();
    return deque.get(deque.first)?.leadingSpaceBytes ?? 0;
  }

  /** Bytes that {@link append} finds room for behind, without memory of its own; 0 while the last storage is shared. */
  get trailingSpaceBytes(): number {
    const deque = this.#live();
    return deque.get(deque.end - 1)?.trailingSpaceBytes ?? 0;
  }

  /**
   * Puts `part` behind: an mbuf by sharing it, bytes by copying them. Mbufs that lie side by side in a storage become one segment.
   * @throws JumboError `ERR_JUMBO_MBUF_RELEASED`, `ERR_JUMBO_HOLD_MAX`, `ERR_JUMBO_OPTION_INVALID`; nothing is changed then
   */
  append(part: Mbuf | Uint8Array): this {
    const deque = this.#live();
    if (part instanceof Mbuf) {
      const segment = part.segment();
      if (segment.length === 0 || deque.absorb(segment)) return this;
      segment.storage.hold();
      deque.push(segment);
    } else appendBytes(deque, bytesOf(part));
    return this;
  }

  /**
   * Puts `part` in front: an mbuf by sharing it, bytes by copying them, into the headroom that a trim left where there is enough.
   * @throws JumboError as {@link append}
   */
  prepend(part: Mbuf | Uint8Array): this {
    const deque = this.#live();
    if (part instanceof Mbuf) {
      const segment = part.segment();
      if (segment.length === 0) return this;
      segment.storage.hold();
      deque.unshift(segment);
    } else prependBytes(deque, bytesOf(part));
    return this;
  }

  /**
   * Moves all segments of `other` behind ours; `other` is empty afterwards, and still yours. m_cat()
   * @throws JumboError `ERR_JUMBO_OPTION_INVALID` when `other` is this chain
   */
  concat(other: MbufChain): this {
    const deque = this.#live();
    if (!(other instanceof MbufChain) || other === this)
      throw new JumboError("ERR_JUMBO_OPTION_INVALID", "concat takes another chain");
    deque.take(other.#live());
    return this;
  }

  /**
   * Cuts the chain in two: this keeps the first `offset` bytes, the rest is yours. A segment that is cut is shared. m_split()
   * @throws JumboError `ERR_JUMBO_CHAIN_RANGE`, `ERR_JUMBO_HOLD_MAX`; nothing is changed then
   */
  split(offset: number): MbufChain {
    const deque = this.#live();
    const at = deque.startAt + wholeBytes("offset", offset, deque.lengthBytes);
    const rest = new MbufChain();
    const tail = rest.#deque;
    const serial = at === deque.endAt ? deque.end : deque.find(at);
    const segment = deque.get(serial);
    const kept = segment === undefined ? 0 : at - segment.at;
    if (segment === undefined || kept === 0) {
      deque.cut(serial, tail);
      return rest;
    }
    segment.storage.hold();
    const cutOff = segment.part(kept, segment.length - kept);
    deque.cut(serial + 1, tail);
    deque.extendBack(-cutOff.length);
    tail.unshift(cutOff);
    return rest;
  }

  /**
   * A chain of yours over `length` of our bytes from `offset` on, shared, not copied. m_copym()
   * @throws JumboError `ERR_JUMBO_CHAIN_RANGE`, `ERR_JUMBO_HOLD_MAX`; nothing is changed then
   */
  copyRange(offset: number, length: number): MbufChain {
    const deque = this.#live();
    wholeBytes("offset", offset, deque.lengthBytes);
    wholeBytes("length", length, deque.lengthBytes - offset);
    const copy = new MbufChain();
    let at = deque.startAt + offset;
    const end = at + length;
    try {
      for (let serial = deque.find(at); at < end; serial++) {
        const segment = deque.get(serial)!; // there is one over every place up to `end`
        const part = segment.part(at - segment.at, Math.min(end, segment.at + segment.length) - at);
        part.storage.hold();
        copy.#deque.push(part);
        at += part.length;
      }
    } catch (error) {
      copy.release();
      throw error;
    }
    return copy;
  }

  /** As {@link copyRange}, with the arguments of `Buffer.subarray`: below 0 counts from the end, and what is not there is left out. */
  slice(start = 0, end: number = this.lengthBytes): MbufChain {
    const { lengthBytes } = this;
    const from = clampedIndex(start, lengthBytes);
    return this.copyRange(from, Math.max(0, clampedIndex(end, lengthBytes) - from));
  }

  /** Trims `bytes` at the front, or −`bytes` at the back; more than there are: all. m_adj() */
  adj(bytes: number): this {
    return bytes < 0 ? this.trimEnd(-bytes) : this.trimStart(bytes);
  }

  /** Lets the first `bytes` bytes go, at most all. @throws JumboError `ERR_JUMBO_CHAIN_RANGE` when `bytes` is no count */
  trimStart(bytes: number): this {
    const deque = this.#live();
    letGo(deque.dropFront(wholeBytes("bytes", bytes, Number.MAX_SAFE_INTEGER)));
    return this;
  }

  /** Lets the last `bytes` bytes go, at most all. @throws JumboError `ERR_JUMBO_CHAIN_RANGE` when `bytes` is no count */
  trimEnd(bytes: number): this {
    const deque = this.#live();
    letGo(deque.dropBack(wholeBytes("bytes", bytes, Number.MAX_SAFE_INTEGER)));
    return this;
  }

  /**
   * The first `bytes` bytes in one piece; null, with nothing changed, when there are not so many. m_pullup()
   *
   * No copy when they lie in one segment already; else they are copied, once, and do from then on.
   * @returns a view, good until the chain lets these bytes go
   */
  pullup(bytes: number): Buffer | null {
    const deque = this.#live();
    const count = wholeBytes("bytes", bytes, Number.MAX_SAFE_INTEGER);
    if (count > deque.lengthBytes) return null;
    return count === 0 ? Buffer.alloc(0) : pullup(deque, count);
  }

  /**
   * Copies bytes from `offset` on into `target`, as many as there are and fit. m_copydata()
   * @returns how many
   */
  copyOut(target: Uint8Array, offset = 0): number {
    const deque = this.#live();
    return copyOut(deque, deque.startAt + wholeBytes("offset", offset, deque.lengthBytes), bytesOf(target));
  }

  /** A copy of all bytes in one piece, in memory of your own. The chain is as before. */
  toBuffer(): Buffer<ArrayBuffer> {
    const target = Buffer.allocUnsafeSlow(this.lengthBytes);
    this.copyOut(target);
    return target;
  }

  /** A view of each segment, or of the first `countMax`, for `writev`: no copy. They are good for as long as the chain keeps these bytes. */
  segments(countMax: number = Infinity): Buffer[] {
    const deque = this.#live();
    const views: Buffer[] = [];
    const end = Math.min(deque.end, deque.first + countMax);
    for (let serial = deque.first; serial < end; serial++) views.push(deque.get(serial)!.bytes);
    return views;
  }

  /** The {@link segments}, one by one. */
  [Symbol.iterator](): ArrayIterator<Buffer> {
    return this.segments()[Symbol.iterator]();
  }

  /**
   * Takes the chain apart from the front: each segment is borrowed until the loop moves on, and let go then. What a loop that is left
   * early did not get to stays in the chain. No copy.
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer, void> {
    for (let next = this.#live().shift(); next !== undefined; next = this.#live().shift()) {
      try {
        yield next.bytes;
      } finally {
        next.storage.release();
      }
    }
  }

  /** All bytes as a stream, which takes them over: the chain is empty afterwards. **Copies**: a stream cannot tell when a chunk is done with. */
  toReadable(): Readable {
    return new ChainReadable(new MbufChain().concat(this));
  }

  /** Where `value` (bytes, UTF-8 text, or one byte) first begins, from `offset` on, across segments; −1 when it is nowhere. */
  indexOf(value: string | number | Uint8Array, offset = 0): number {
    const deque = this.#live();
    const from = clampedIndex(offset, deque.lengthBytes);
    const needle = needleOf(value);
    if (needle.length === 0) return from;
    const at = find(deque, needle, deque.startAt + from);
    return at === null ? -1 : at - deque.startAt;
  }

  /** True when `other` has the same bytes, however they are cut. No copy. */
  equals(other: MbufChain | Uint8Array): boolean {
    const deque = this.#live();
    return areEqual(deque, other instanceof MbufChain ? other.#live() : dequeOver(bytesOf(other)));
  }

  /** Reads fields from `offset` on, across segments. @throws JumboError `ERR_JUMBO_CHAIN_RANGE` */
  cursor(offset = 0): Cursor {
    const cursor = new Cursor(this.#live());
    cursor.seek(offset);
    return cursor;
  }

  /**
   * Lets all segments go, and ends the chain.
   * @throws JumboError `ERR_JUMBO_CHAIN_RELEASED`; or what a free routine threw, once everything has been let go
   */
  release(): void {
    const deque = this.#live();
    deque.isReleased = true;
    deque.changes++; // its cursors look, also when it is empty
    letGo(deque.dropFront(deque.lengthBytes));
  }

  /** Same as {@link release}, but nothing when it was released inside the block: for `using`. */
  [Symbol.dispose](): void {
    if (!this.isReleased) this.release();
  }

  /** @internal The segments themselves, with the storages they lie in; the holds stay the chain's. */
  parts(): Segment[] {
    const deque = this.#live();
    return Array.from({ length: deque.count }, (_, index) => deque.get(deque.first + index)!);
  }

  /** @internal Walks everything and checks every law of structure. */
  verify(): void {
    this.#live().verify();
  }

  #live(): SegmentDeque {
    if (!this.#deque.isReleased) return this.#deque;
    throw new JumboError("ERR_JUMBO_CHAIN_RELEASED", "this chain has been released: its bytes may be somebody else's");
  }
}

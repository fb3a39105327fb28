import { JumboError } from "../errors.ts";
import { invariant } from "../invariant.ts";
import type { SegmentDeque } from "./segment-deque.ts";

const NO_BYTES = Buffer.alloc(0);
const NO_VIEW = new DataView(NO_BYTES.buffer);
/** The longest value that is gathered: a varint's ten bytes. */
const SCRATCH_BYTES = 16;

/**
 * Where a cursor is, and the next bytes within its reach. Internal.
 *
 *     chain     [ ········ ][ ··········································· ][ ····
 *     view                  at ────── in reach: one load ─────────── end ▶│
 *     scratch                                                  [ gathered, when a value crosses the border ]
 *
 * Law: while the deque's changes are those seen, the bytes from `at` to `end` of the view are the next of the chain. The place is
 * told by where `end` lies, on a line on which it stays whatever is done to the chain.
 *
 * The view is over the whole memory behind a storage, which all pages of a pool have in common: to enter the next segment is to
 * set numbers.
 */
export class CursorPlace {
  readonly deque: SegmentDeque;
  /** Where the bytes are that {@link take} or {@link reach} found, until the next call. */
  view: DataView = NO_VIEW;
  /** Where {@link reach} found them in the view. */
  viewAt = 0;
  #at = 0;
  #end = 0;
  /** What `end` was before the view became the scratch; −1: it did not. */
  #endHidden = -1;
  #endPlace: number;
  #changesSeen = -1;
  #serial = 0;
  /** The storage that the segment is in, the place where it begins in its memory, and a view over all of that. */
  #bytes: Buffer = NO_BYTES;
  #base = 0;
  #memory: ArrayBufferLike = NO_BYTES.buffer;
  #memoryView: DataView = NO_VIEW;
  readonly #scratch: DataView = new DataView(new ArrayBuffer(SCRATCH_BYTES));

  constructor(deque: SegmentDeque) {
    this.deque = deque;
    this.#endPlace = deque.startAt + deque.drift;
  }

  /** The number of bytes before it in the chain. */
  get offset(): number {
    return this.at - this.deque.startAt;
  }

  /** Where it is on the deque's line. @throws JumboError `ERR_JUMBO_CHAIN_RELEASED` */
  get at(): number {
    this.checkLive();
    return this.#endPlace - (this.#end - this.#at) - this.deque.drift;
  }

  /** @throws JumboError `ERR_JUMBO_CHAIN_RELEASED` */
  checkLive(): void {
    if (!this.deque.isReleased) return;
    throw new JumboError("ERR_JUMBO_CHAIN_RELEASED", "the chain of this cursor has been released");
  }

  /**
   * Passes `bytes` bytes, at most {@link SCRATCH_BYTES}.
   * @returns where they are in {@link view}, until the next call
   * @throws JumboError `ERR_JUMBO_CHAIN_RANGE`, with nothing changed, when there are not so many
   */
  take(bytes: number): number {
    const at = this.#at;
    if (this.#end - at < bytes || this.deque.changes !== this.#changesSeen) return this.#takeAcross(bytes);
    this.#at = at + bytes;
    return at;
  }

  /** Passes `bytes` bytes without looking at them. @throws JumboError as {@link take} */
  pass(bytes: number): void {
    if (this.#end - this.#at >= bytes && this.deque.changes === this.#changesSeen) this.#at += bytes;
    else {
      this.need(bytes);
      this.enter(this.at + bytes);
    }
  }

  /** Looks at the next `bytes` bytes, at most {@link SCRATCH_BYTES}, without passing them. @returns how many there are */
  reach(bytes: number): number {
    const at = this.#freshen(0);
    const count = Math.min(bytes, this.deque.endAt - at);
    this.viewAt = this.#at;
    if (this.#end - this.#at >= count) return count;
    this.viewAt = this.#gather(at, count);
    this.enter(at);
    this.#hide();
    return count;
  }

  /** The next `bytes` bytes as text, if they lie in one segment; else null. Does not pass them. */
  textInReach(bytes: number, encoding: BufferEncoding): string | null {
    this.#freshen(bytes);
    if (this.#end - this.#at < bytes) return null;
    const start = this.#at - this.#base;
    return this.#bytes.toString(encoding, start, start + bytes);
  }

  /** @throws JumboError `ERR_JUMBO_CHAIN_RANGE` unless `bytes` more are there */
  need(bytes: number): void {
    const { at, deque } = this;
    if (at >= deque.startAt && at + bytes <= deque.endAt) return;
    const what = at < deque.startAt ? "the cursor's place has been taken away" : `${deque.endAt - at} bytes are left`;
    throw new JumboError("ERR_JUMBO_CHAIN_RANGE", `${bytes} bytes are to be read, but ${what}`);
  }

  /** Goes to place `at` of the deque's line, on the chain or at its end. O(log segments); O(1) to the next segment. */
  enter(at: number): void {
    const { deque } = this;
    this.#show();
    this.#changesSeen = deque.changes;
    this.#endPlace = at + deque.drift;
    if (at === deque.endAt) {
      this.#at = this.#end; // nothing is in reach; the next read looks whether there is more
      return;
    }
    let segment = deque.get(this.#serial);
    if (segment !== undefined && at === segment.at + segment.length) segment = deque.get(++this.#serial);
    if (segment === undefined || at < segment.at || at >= segment.at + segment.length) {
      this.#serial = deque.find(at);
      segment = deque.get(this.#serial);
      invariant(segment !== undefined, "there is a segment over each place before the end");
    }
    const { bytes } = segment.storage;
    if (bytes !== this.#bytes) this.#open(bytes);
    this.#at = this.#base + segment.offset + (at - segment.at);
    this.#end = this.#base + segment.offset + segment.length;
    this.#endPlace += this.#end - this.#at;
  }

  #open(bytes: Buffer): void {
    const { buffer } = bytes;
    if (buffer !== this.#memory) this.#memoryView = new DataView(buffer);
    this.#memory = buffer;
    this.#base = bytes.byteOffset;
    this.#bytes = bytes;
    this.view = this.#memoryView;
  }

  #takeAcross(bytes: number): number {
    const at = this.#freshen(bytes);
    if (this.#end - this.#at < bytes) return this.#gather(at, bytes);
    this.#at += bytes;
    return this.#at - bytes;
  }

  /**
   * Gets the segment of the next byte in reach, if there is one.
   * @returns the place
   * @throws JumboError `ERR_JUMBO_CHAIN_RANGE` unless `bytes` more are there
   */
  #freshen(bytes: number): number {
    this.need(bytes);
    this.#show();
    const { at } = this;
    if (this.#at === this.#end || this.deque.changes !== this.#changesSeen) this.enter(at);
    return at;
  }

  /** Passes the `bytes` bytes from place `at` on, which must be there, and shows a copy of them in the scratch. @returns where */
  #gather(at: number, bytes: number): number {
    const scratch = this.#scratch;
    for (let i = 0; i < bytes; i++) {
      if (this.#at === this.#end) this.enter(at + i);
      scratch.setUint8(i, this.#memoryView.getUint8(this.#at++));
    }
    this.#hide();
    return 0;
  }

  /** The view is the scratch, and nothing is in reach, so that the next read comes by {@link #show}. */
  #hide(): void {
    this.view = this.#scratch;
    this.#endHidden = this.#end;
    this.#endPlace -= this.#end - this.#at;
    this.#end = this.#at;
  }

  /** Undoes {@link #hide}. */
  #show(): void {
    if (this.#endHidden < 0) return;
    this.view = this.#memoryView;
    this.#end = this.#endHidden;
    this.#endPlace += this.#end - this.#at;
    this.#endHidden = -1;
  }
}

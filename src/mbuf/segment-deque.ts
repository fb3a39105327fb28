import { invariant } from "../invariant.ts";
import type { Segment } from "./segment.ts";
import type { Storage } from "./storage.ts";

const RING_SLOTS_MIN = 8;
/** A ring that a burst made longer than this is let go when it has become empty. */
const RING_SLOTS_KEPT = 1024;
const NOTHING: readonly Storage[] = Object.freeze([]);

/**
 * The segments of a chain, in a ring that grows at both ends and on a number line. Internal.
 *
 *     serial        first          first + 1            end − 1
 *                  ┌─────────────┬────────────────┬───┬─────────┐
 *                  │ segment     │ segment        │ … │ segment │
 *                  └─────────────┴────────────────┴───┴─────────┘
 *     at          startAt        +length                        endAt      startAt < 0 after bytes were put in front
 *
 * Laws: segments lie one behind the other from startAt to endAt, each at least a byte long. What is done at the ends leaves serials
 * and places of all other segments as they were, so nothing is ever renumbered but the smaller side of a split or concat.
 *
 * Only structure: holds are the caller's. O(1) unless said otherwise; no recursion.
 */
export class SegmentDeque {
  #ring: (Segment | undefined)[] = emptyRing(RING_SLOTS_MIN);
  #first = 0;
  #count = 0;
  #startAt = 0;
  #endAt = 0;
  /** A cursor's place is `at + drift`: it stays the same when {@link take} and {@link cut} exchange number lines. */
  drift = 0;
  /** Counts the changes that take bytes away or move segments: who remembers a serial or a place looks again after one. */
  changes = 0;
  /** The chain has ended: for its cursors. */
  isReleased = false;

  /** The serial of the first segment. */
  get first(): number {
    return this.#first;
  }
  /** The serial behind the last segment. */
  get end(): number {
    return this.#first + this.#count;
  }
  get count(): number {
    return this.#count;
  }
  get startAt(): number {
    return this.#startAt;
  }
  get endAt(): number {
    return this.#endAt;
  }
  get lengthBytes(): number {
    return this.#endAt - this.#startAt;
  }

  /** The segment with that serial; undefined when there is none. */
  get(serial: number): Segment | undefined {
    if (serial < this.#first || serial >= this.end) return undefined;
    return this.#ring[serial & (this.#ring.length - 1)];
  }

  /** The serial of the segment over place `at`, which must be on the line. O(log segments) */
  find(at: number): number {
    let low = this.#first;
    let high = this.end - 1;
    while (low < high) {
      const middle = low + ((high - low + 1) >> 1);
      if (this.#must(middle).at <= at) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  push(segment: Segment): void {
    this.#makeRoom();
    segment.at = this.#endAt;
    this.#endAt += segment.length;
    this.#ring[this.end & (this.#ring.length - 1)] = segment;
    this.#count++;
  }

  unshift(segment: Segment): void {
    this.#makeRoom();
    this.#startAt -= segment.length;
    segment.at = this.#startAt;
    this.#first--;
    this.#count++;
    this.#ring[this.#first & (this.#ring.length - 1)] = segment;
  }

  shift(): Segment | undefined {
    const segment = this.get(this.#first);
    if (segment === undefined) return undefined;
    this.#ring[this.#first & (this.#ring.length - 1)] = undefined;
    this.#first++;
    this.#startAt += segment.length;
    this.#left();
    return segment;
  }

  pop(): Segment | undefined {
    const segment = this.get(this.end - 1);
    if (segment === undefined) return undefined;
    this.#ring[(this.end - 1) & (this.#ring.length - 1)] = undefined;
    this.#endAt -= segment.length;
    this.#left();
    return segment;
  }

  /** The first segment begins so many bytes earlier, or, below 0, later. */
  extendFront(bytes: number): void {
    const segment = this.#must(this.#first);
    segment.extendFront(bytes);
    this.#startAt -= bytes;
    segment.at = this.#startAt;
    if (bytes < 0) this.changes++;
  }

  /** The last segment ends so many bytes later, or, below 0, earlier. */
  extendBack(bytes: number): void {
    this.#must(this.end - 1).extendBack(bytes);
    this.#endAt += bytes;
    if (bytes < 0) this.changes++;
  }

  /** Puts `next` behind; true when the last segment took it over, so that it needs no hold. */
  absorb(next: Segment): boolean {
    if (this.get(this.end - 1)?.absorb(next) !== true) return false;
    this.#endAt += next.length;
    return true;
  }

  /** Takes the first `bytes` bytes away, at most all. O(segments dropped) @returns whose segments went, to be let go */
  dropFront(bytes: number): readonly Storage[] {
    let left = bytes;
    let dropped: Storage[] | null = null;
    for (let first = this.get(this.#first); left > 0 && first !== undefined; first = this.get(this.#first)) {
      if (first.length > left) {
        this.extendFront(-left);
        break;
      }
      left -= first.length;
      this.shift();
      (dropped ??= []).push(first.storage);
    }
    return dropped ?? NOTHING;
  }

  /** Takes the last `bytes` bytes away, at most all. O(segments dropped) @returns whose segments went, to be let go */
  dropBack(bytes: number): readonly Storage[] {
    let left = bytes;
    let dropped: Storage[] | null = null;
    for (let last = this.get(this.end - 1); left > 0 && last !== undefined; last = this.get(this.end - 1)) {
      if (last.length > left) {
        this.extendBack(-left);
        break;
      }
      left -= last.length;
      this.pop();
      (dropped ??= []).push(last.storage);
    }
    return dropped ?? NOTHING;
  }

  /** Moves all segments of `other` behind ours. O(the fewer of both) */
  take(other: SegmentDeque): void {
    const otherEnd = other.#endAt + other.drift;
    if (other.#count <= this.#count) {
      for (let next = other.shift(); next !== undefined; next = other.shift()) this.push(next);
      return;
    }
    const start = this.#startAt + this.drift;
    for (let last = this.pop(); last !== undefined; last = this.pop()) other.unshift(last);
    this.#exchange(other, start, otherEnd);
  }

  /** Moves the segments from `serial` on to `tail`, which must be empty. O(the fewer of both sides) */
  cut(serial: number, tail: SegmentDeque): void {
    if (this.end - serial <= serial - this.#first) {
      while (this.end > serial) tail.unshift(this.#mustHave(this.pop()));
      return;
    }
    const start = this.#startAt + this.drift;
    while (this.#first < serial) tail.push(this.#mustHave(this.shift()));
    this.#exchange(tail, start, 0);
  }

  /** Walks everything and checks the laws. O(segments) */
  verify(): void {
    let at = this.#startAt;
    for (let serial = this.#first; serial < this.end; serial++) {
      const segment = this.#must(serial);
      invariant(segment.length > 0, "no segment is empty");
      invariant(segment.at === at, "segments lie one behind the other");
      invariant(this.find(at) === serial && this.find(at + segment.length - 1) === serial, "a place has one segment");
      at += segment.length;
    }
    invariant(at === this.#endAt, "the line ends where the last segment ends");
    invariant(this.#ring.filter((slot) => slot !== undefined).length === this.#count, "the ring holds nothing else");
  }

  /** Changes contents with `other`; our bytes start at cursor place `start` then, the other's at `otherStart`. */
  #exchange(other: SegmentDeque, start: number, otherStart: number): void {
    [this.#ring, other.#ring] = [other.#ring, this.#ring];
    [this.#first, other.#first] = [other.#first, this.#first];
    [this.#count, other.#count] = [other.#count, this.#count];
    [this.#startAt, other.#startAt] = [other.#startAt, this.#startAt];
    [this.#endAt, other.#endAt] = [other.#endAt, this.#endAt];
    this.drift = start - this.#startAt;
    other.drift = otherStart - other.#startAt;
    this.changes++;
    other.changes++;
  }

  /** A segment has left at either end. */
  #left(): void {
    this.#count--;
    this.changes++;
    if (this.#count === 0 && this.#ring.length > RING_SLOTS_KEPT) this.#ring = emptyRing(RING_SLOTS_MIN);
  }

  /** Doubles a full ring. */
  #makeRoom(): void {
    const slots = this.#ring.length;
    if (this.#count < slots) return;
    const ring = emptyRing(slots * 2);
    for (let serial = this.#first; serial < this.end; serial++) ring[serial & (slots * 2 - 1)] = this.#must(serial);
    this.#ring = ring;
  }

  #must(serial: number): Segment {
    return this.#mustHave(this.get(serial));
  }

  #mustHave(segment: Segment | undefined): Segment {
    invariant(segment !== undefined, "there is a segment at every serial from first to end");
    return segment;
  }
}

/** Filled, not sparse: V8 keeps it a plain array. */
function emptyRing(slots: number): (Segment | undefined)[] {
  const ring: (Segment | undefined)[] = [];
  while (ring.length < slots) ring.push(undefined); // Array.from() takes ten times as long, most of what an append costs
  return ring;
}

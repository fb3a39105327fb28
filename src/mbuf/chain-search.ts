import { SegmentDeque } from "./segment-deque.ts";
import { Segment } from "./segment.ts";
import { ExternalStorage } from "./storage.ts";

/** A window is at least so long, so that a chain of tiny segments is searched many at a time. */
const WINDOW_BYTES_MIN = 1024;

/**
 * Copies bytes from place `at` on into `target`; what does not fit is left out.
 * @returns how many were copied
 */
export function copyOut(deque: SegmentDeque, at: number, target: Uint8Array): number {
  const wanted = Math.min(target.length, deque.endAt - at);
  if (wanted <= 0) return 0;
  let copied = 0;
  for (let serial = deque.find(at); copied < wanted; serial++) {
    const segment = deque.get(serial);
    if (segment === undefined) break;
    const start = segment.offset + (at + copied - segment.at);
    const end = Math.min(segment.offset + segment.length, start + wanted - copied);
    segment.storage.bytes.copy(target, copied, start, end);
    copied += end - start;
  }
  return copied;
}

/**
 * The place where `needle`, which is not empty, first begins, from place `at` on; null when it is not there.
 *
 *     segments   ──────────────┐┌──────────────────
 *     searched   in place ═══════▶
 *                        in a window ═══▶           copies: what may cross the border, and little more
 *                                 in place ════════▶
 *
 * Each byte is copied at most about once, whatever the lengths of segments and needle.
 */
export function find(deque: SegmentDeque, needle: Buffer, at: number): number | null {
  const windowBytes = Math.max(4 * needle.length, WINDOW_BYTES_MIN);
  let window: Buffer | null = null;
  let place = at;
  while (place + needle.length <= deque.endAt) {
    const segment = deque.get(deque.find(place));
    if (segment === undefined) return null;
    const end = segment.at + segment.length;
    if (end - place >= needle.length) {
      const found = segment.bytes.indexOf(needle, place - segment.at);
      if (found >= 0) return segment.at + found;
      place = end - needle.length + 1;
    } else {
      window ??= Buffer.allocUnsafe(windowBytes);
      const copied = copyOut(deque, place, window);
      const found = window.subarray(0, copied).indexOf(needle);
      if (found >= 0) return place + found;
      place += copied - needle.length + 1;
    }
  }
  return null;
}

/** True when both have the same bytes. No copy. */
export function areEqual(one: SegmentDeque, other: SegmentDeque): boolean {
  if (one.lengthBytes !== other.lengthBytes) return false;
  let compared = 0;
  let serialOfOne = one.first;
  let serialOfOther = other.first;
  while (compared < one.lengthBytes) {
    const mine = one.get(serialOfOne);
    const theirs = other.get(serialOfOther);
    if (mine === undefined || theirs === undefined) return false;
    const start = one.startAt + compared - mine.at;
    const startOfOther = other.startAt + compared - theirs.at;
    const length = Math.min(mine.length - start, theirs.length - startOfOther);
    if (!areSame(mine.bytes, start, theirs.bytes, startOfOther, length)) return false;
    compared += length;
    if (start + length === mine.length) serialOfOne++;
    if (startOfOther + length === theirs.length) serialOfOther++;
  }
  return true;
}

function areSame(one: Buffer, start: number, other: Buffer, startOfOther: number, length: number): boolean {
  return one.compare(other, startOfOther, startOfOther + length, start, start + length) === 0;
}

/** `bytes` as a chain would have them, to compare with. No copy. */
export function dequeOver(bytes: Uint8Array): SegmentDeque {
  const deque = new SegmentDeque();
  const { length } = bytes;
  if (length > 0) deque.push(new Segment(new ExternalStorage(bytes, null), 0, length, 0, length));
  return deque;
}

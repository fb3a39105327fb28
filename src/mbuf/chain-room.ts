import { invariant } from "../invariant.ts";
import { Segment } from "./segment.ts";
import type { SegmentDeque } from "./segment-deque.ts";
import { ExternalStorage, letGo } from "./storage.ts";
import { copyOut } from "./chain-search.ts";

/** Of a block made for bytes in front: what an mbuf of FreeBSD has itself (MSIZE), so that more headers fit. */
const HEADER_BLOCK_BYTES = 256;
/** Of a block made for bytes behind: a cluster (MCLBYTES). */
const CLUSTER_BYTES = 2048;

/** Copies `bytes` in front: into the first segment's leading room, or to the end of a block of plain memory. mbuf(9), M_PREPEND() */
export function prependBytes(deque: SegmentDeque, bytes: Uint8Array): void {
  const { length } = bytes;
  if (length === 0) return;
  const first = deque.get(deque.first);
  if (first !== undefined && first.leadingSpaceBytes >= length) {
    first.storage.bytes.set(bytes, first.offset - length);
    deque.extendFront(length);
    return;
  }
  const size = Math.max(HEADER_BLOCK_BYTES, length);
  const segment = blockSegment(size, size - length, length);
  segment.bytes.set(bytes);
  deque.unshift(segment);
}

/** Copies `bytes` behind: into the last segment's trailing room, or to the start of a block of plain memory. */
export function appendBytes(deque: SegmentDeque, bytes: Uint8Array): void {
  const { length } = bytes;
  if (length === 0) return;
  const last = deque.get(deque.end - 1);
  if (last !== undefined && last.trailingSpaceBytes >= length) {
    last.storage.bytes.set(bytes, last.offset + last.length);
    deque.extendBack(length);
    return;
  }
  const segment = blockSegment(Math.max(CLUSTER_BYTES, length), 0, length);
  segment.bytes.set(bytes);
  deque.push(segment);
}

/**
 * Makes the first `count` bytes, which must be there, one segment: no copy when they are, only the missing ones into the first
 * segment's trailing room when they fit, else all to the end of a block of plain memory. mbuf(9), m_pullup()
 */
export function pullup(deque: SegmentDeque, count: number): Buffer {
  const first = deque.get(deque.first);
  invariant(first !== undefined, "there are so many bytes");
  const missing = count - first.length;
  if (missing <= 0) return first.bytes.subarray(0, count);
  if (first.trailingSpaceBytes >= missing) {
    const end = first.offset + first.length;
    copyOut(deque, first.at + first.length, first.storage.bytes.subarray(end, end + missing));
    deque.shift();
    const dropped = deque.dropFront(missing);
    first.extendBack(missing);
    deque.unshift(first);
    letGo(dropped);
    return first.bytes;
  }
  const size = Math.max(HEADER_BLOCK_BYTES, count);
  const segment = blockSegment(size, size - count, count);
  const { bytes } = segment;
  copyOut(deque, deque.startAt, bytes);
  const dropped = deque.dropFront(count);
  deque.unshift(segment);
  letGo(dropped);
  return bytes;
}

/** A segment over a new block of plain memory, which is its room. Not from Node's pool: nobody else is in it. */
function blockSegment(size: number, offset: number, length: number): Segment {
  return new Segment(new ExternalStorage(Buffer.allocUnsafeSlow(size), null), offset, length, 0, size);
}

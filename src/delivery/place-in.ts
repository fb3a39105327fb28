import { copyBytes } from "../memory/copy-bytes.ts";
import type { Segment } from "../mbuf/segment.ts";
import { addressOf } from "../os/address-of.ts";
import { isPrivateAnonymous } from "../os/mappings.ts";
import { loadPageExchange } from "../os/page-exchange.ts";
import { Page } from "../pool/page.ts";
import { zeroCopy } from "./zero-copy.ts";

/** In what steps a WebAssembly memory grows: a memory that is not a multiple of it is none. */
const WASM_PAGE_BYTES = 65_536;

/** Which memories consist of pages that may be exchanged. Asking the system takes some 100 µs, and the answer stays the same. */
const answers = new WeakMap<ArrayBufferLike, boolean>();

/**
 * Puts the bytes of `segments` to the front of `target`, as many as fit. zero_copy(9), uiomoveco()
 *
 *     whole pages, side by side, ours alone, page-aligned target ──▶ flipped, when the stretch is long enough to pay
 *     anything else                                              ──▶ copied, the same bytes
 *
 * A flip is an exchange: the page has what the target had before. The segments stay the caller's to let go; what they showed may be gone.
 * @returns how many bytes
 */
export function putSegments(segments: readonly Segment[], target: Uint8Array): number {
  let put = 0;
  for (let index = 0; index < segments.length && put < target.length;) {
    const segment = segments[index]!; // the loop's condition
    const flipped = flipStretch(segments, index, target, put);
    put += flipped > 0 ? flipped * segment.length : copy(segment, target, put);
    index += flipped > 0 ? flipped : 1;
  }
  return put;
}

function copy(segment: Segment, target: Uint8Array, at: number): number {
  const room = target.length - at;
  const bytes = segment.length > room ? segment.bytes.subarray(0, room) : segment.bytes;
  copyBytes(bytes, target, at);
  zeroCopy.copied += bytes.length;
  return bytes.length;
}

/** Flips as many whole pages as lie side by side from `segments[first]` on. How many; 0 when one of the conditions does not hold. */
function flipStretch(segments: readonly Segment[], first: number, target: Uint8Array, at: number): number {
  const page = wholePage(segments[first]);
  const { pageExchange } = loadPageExchange();
  if (page === null || pageExchange === null || !zeroCopy.receive) return 0;
  const { exchange, systemPageBytes } = pageExchange;
  if (!isExchangeable(target.buffer, systemPageBytes)) return 0;
  const pageBytes = page.bytes.length;
  const room = Math.floor((target.length - at) / pageBytes);
  let count = 0;
  while (count < room && wholePage(segments[first + count])?.number === page.number + count) count++;
  if (count === 0 || count * pageBytes < zeroCopy.flipMinBytes) return 0;
  const address = addressOf(target) + at; // looked up here, as late as can be: the memory may have moved since the last time
  if (address % systemPageBytes !== 0) return 0;
  const source = addressOf(page.bytes);
  // What lies in more than one mapping the kernel refuses as a whole: less of it may do.
  for (; count > 0 && count * pageBytes >= zeroCopy.flipMinBytes; count >>= 1) {
    if (exchange(source, address, count * pageBytes) < 0) continue;
    zeroCopy.flipped += count;
    zeroCopy.stolen += count;
    return count;
  }
  return 0;
}

/** The page of which `segment` shows every byte and has the only hold; null when it is not so. */
function wholePage(segment: Segment | undefined): Page | null {
  if (segment === undefined) return null;
  const { storage, offset, length } = segment;
  if (!(storage instanceof Page) || storage.holdCount !== 1) return null;
  return offset === 0 && length === storage.bytes.length ? storage : null;
}

/**
 * Only a memory that begins on a page of the system's has its pages for itself: that of WebAssembly does, what is malloc'd never. And only private
 * anonymous memory may be exchanged: an addon may have mapped a file.
 */
function isExchangeable(buffer: ArrayBufferLike, systemPageBytes: number): boolean {
  if (buffer.byteLength === 0 || buffer.byteLength % WASM_PAGE_BYTES !== 0) return false;
  const known = answers.get(buffer);
  if (known !== undefined) return known;
  const address = addressOf(new Uint8Array(buffer));
  const answer = address % systemPageBytes === 0 && isPrivateAnonymous(address, buffer.byteLength);
  answers.set(buffer, answer);
  return answer;
}

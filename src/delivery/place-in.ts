import { copyBytes } from "../memory/copy-bytes.ts";
import type { Segment } from "../mbuf/segment.ts";
import { addressOf } from "../os/address-of.ts";
import { isPrivateAnonymous } from "../os/mappings.ts";
import { loadPageExchange } from "../os/page-exchange.ts";
import { Page } from "../pool/page.ts";
import { zeroCopy } from "./zero-copy.ts";

/** In what steps a WebAssembly memory grows: a memory that is not a multiple of it is none. */
const WASM_PAGE_BYTES = 65_536;

/**
 * What lies in more than one mapping the kernel refuses, and it will do so again: an attempt costs half an exchange. So after one that failed
 * this many times as many pages are copied untried.
 */
const UNTRIED_FACTOR = 16;
let untriedPages = 0;

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
    const first = segments[index]!; // the loop's condition
    const pages = stretchAt(segments, index, target.length - put);
    const end = index + Math.max(pages, 1);
    if (flip(first, pages, target, put)) put += pages * first.length;
    else for (const segment of segments.slice(index, end)) put += copy(segment, target, put);
    index = end;
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

/** How many whole pages lie side by side from `segments[first]` on, and fit into `room` bytes. */
function stretchAt(segments: readonly Segment[], first: number, room: number): number {
  const page = wholePage(segments[first]);
  if (page === null) return 0;
  const most = Math.floor(room / page.bytes.length);
  let count = 0;
  while (count < most && wholePage(segments[first + count])?.number === page.number + count) count++;
  return count;
}

/** Flips `pages` whole pages, `first` and those side by side with it. False, with nothing changed, when they are to be copied. */
function flip(first: Segment, pages: number, target: Uint8Array, at: number): boolean {
  const { pageExchange } = loadPageExchange();
  if (pages === 0 || pageExchange === null || !zeroCopy.receive) return false;
  const { exchange, systemPageBytes } = pageExchange;
  const lengthBytes = pages * first.length;
  if (!isExchangeable(target.buffer, systemPageBytes) || !zeroCopy.pays(lengthBytes)) return false;
  const address = addressOf(target) + at; // looked up here, as late as can be: the memory may have moved since the last time
  if (address % systemPageBytes !== 0) return false;
  if (untriedPages > 0) {
    untriedPages -= pages;
    return false;
  }
  if (exchange(addressOf(first.bytes), address, lengthBytes) < 0) {
    untriedPages = pages * UNTRIED_FACTOR;
    return false;
  }
  zeroCopy.flipped += pages;
  zeroCopy.stolen += pages;
  return true;
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

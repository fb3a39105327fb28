import type { Mbuf } from "../mbuf/mbuf.ts";
import { addressOf } from "../os/address-of.ts";
import { loadPageFlip } from "../os/page-flip.ts";
import type { PageFlip } from "../os/page-flip.ts";
import { Page } from "../pool/page.ts";
import { zeroCopy } from "./zero-copy.ts";

/** In what steps a WebAssembly memory grows: a memory that is not a multiple of it is none. */
const WASM_PAGE_BYTES = 65_536;

/** The caller's memory, as far as flipping is concerned. */
export type Place = {
  readonly target: Uint8Array;
  /** Where it begins in this process; null when pages cannot be flipped into it. */
  readonly address: number | null;
};

/** Looks once at where `target` lies. */
export function placeOf(target: Uint8Array): Place {
  const { pageFlip } = loadPageFlip();
  if (pageFlip === null || !isOwnMapping(target, pageFlip)) return { target, address: null };
  return { target, address: addressOf(target) };
}

/** Only a memory that begins on a page of the system's has its pages for itself: that of WebAssembly does, what is malloc'd never. */
function isOwnMapping(target: Uint8Array, { systemPageBytes }: PageFlip): boolean {
  const { buffer } = target;
  if (buffer.byteLength === 0 || buffer.byteLength % WASM_PAGE_BYTES !== 0) return false;
  return addressOf(new Uint8Array(buffer)) % systemPageBytes === 0;
}

/**
 * Puts the bytes of `mbufs`, from the first one's `skip` on, to `place` from `at` on, as many as fit. zero_copy(9), uiomoveco()
 *
 *     whole pages, side by side, ours alone, page-aligned target ──▶ flipped, when the stretch is long enough to pay
 *     anything else                                              ──▶ copied, the same bytes
 *
 * What is put lies nowhere else afterwards when it was flipped: the pages read as zero. The mbufs stay the caller's to release.
 * @returns how many bytes
 */
export function putMbufs(mbufs: readonly Mbuf[], skip: number, place: Place, at: number): number {
  const { target } = place;
  let put = 0;
  for (let index = 0; index < mbufs.length && at + put < target.length;) {
    const flipped = skip === 0 ? flipStretch(mbufs, index, place, at + put) : 0;
    if (flipped > 0) {
      put += flipped * (mbufs[index]?.length ?? 0);
      index += flipped;
    } else {
      put += copy(mbufs[index], skip, target, at + put);
      index++;
    }
    skip = 0;
  }
  return put;
}

function copy(mbuf: Mbuf | undefined, skip: number, target: Uint8Array, at: number): number {
  if (mbuf === undefined) return 0;
  const bytes = mbuf.bytes.subarray(skip, skip + target.length - at);
  target.set(bytes, at);
  zeroCopy.copied += bytes.length;
  return bytes.length;
}

/** Flips as many whole pages as lie side by side from `mbufs[first]` on. How many; 0 when one of the conditions does not hold. */
function flipStretch(mbufs: readonly Mbuf[], first: number, { target, address }: Place, at: number): number {
  const page = wholePage(mbufs[first]);
  const { pageFlip } = loadPageFlip();
  if (page === null || address === null || pageFlip === null || !zeroCopy.receive) return 0;
  if ((address + at) % pageFlip.systemPageBytes !== 0) return 0;
  const pageBytes = page.bytes.length;
  let count = 0;
  while (
    at + (count + 1) * pageBytes <= target.length &&
    wholePage(mbufs[first + count])?.number === page.number + count
  )
    count++;
  const lengthBytes = count * pageBytes;
  if (count === 0 || lengthBytes < zeroCopy.flipMinBytes) return 0;
  if (pageFlip.flip(addressOf(page.bytes), address + at, lengthBytes) < 0) return 0; // too many mappings: copy
  zeroCopy.flipped += count;
  zeroCopy.stolen += count;
  return count;
}

/** The page of which `mbuf` shows every byte and has the only hold; null when it is not so. */
function wholePage(mbuf: Mbuf | undefined): Page | null {
  if (mbuf === undefined) return null;
  const { storage, offset, length } = mbuf.segment();
  if (!(storage instanceof Page) || storage.holdCount !== 1) return null;
  return offset === 0 && length === storage.bytes.length ? storage : null;
}

import { invariant } from "../invariant.ts";

/**
 * The control block: a file format in shared memory. Every offset is here and nowhere else.
 *
 *     bytes    0 ┌──────────────────────────────┐
 *                │ header: 20 Int32 words       │  magic, version, sizes, list heads, state counts
 *             80 ├──────────────────────────────┤
 *                │ counters: 16 Float64 words   │  one for each path; exact up to 2^53
 *            208 ├──────────────────────────────┤
 *                │ page 0: 4 Int32 words        │  state │ hold count │ generation │ next
 *            224 ├──────────────────────────────┤
 *                │ page 1 …                     │
 *                └──────────────────────────────┘
 *
 * It is a memory of its own and not a part of the arena, so that nothing that fills pages, not even the
 * kernel with a wrong length, can reach it, and so that the arena can use all 4 GiB for pages.
 *
 * Threads: today one thread owns a pool and all words are its own, read and written plainly (an atomic
 * costs 20 times as much). They are in shared memory so that a pool that many threads share is another
 * list strategy over the same words.
 */
export const MAGIC = 0x4a_4d_42_4f; // "JMBO"
export const VERSION = 2;

/** No page: the end of a list. */
export const NIL = -1;

/** Header words: indices into the Int32 view. */
export const WORD = {
  magic: 0,
  version: 1,
  pageSizeBytes: 2,
  arenaPages: 3,
  pagesMax: 4,
  stolenMax: 5,
  /** Pages below the frontier have been committed at least once. */
  frontier: 6,
  /** Pages that are the pool's: free + in use. */
  pooled: 7,
  inUse: 8,
  stolen: 9,
  freeHead: 10,
  /** Pages below the frontier whose memory has gone back: the first source of growth. */
  retiredHead: 11,
  retired: 12,
  /** Released pages that wait, oldest first, before they become free again (audit). Counted as free. */
  quarantineHead: 13,
  quarantineTail: 14,
  quarantined: 15,
  /** Free pages that are not on the free list, lowest first: where runs come from. */
  sortedHead: 16,
} as const;

const HEADER_WORDS = 20;
const COUNTERS_BYTE = HEADER_WORDS * 4;

/** Path counters: indices into the Float64 view. How many pages were returned is not among them: taken − in use. */
export const COUNTER = {
  taken: 0,
  grown: 1,
  growFailed: 2,
  refused: 3,
  waited: 4,
  waitAborted: 5,
  stolen: 6,
  stolenReturned: 7,
  stolenCollected: 8,
  trimmed: 9,
  trimKept: 10,
  poisonHits: 11,
  leaked: 12,
  pressures: 13,
  abandoned: 14,
} as const;

const COUNTER_WORDS = 16;
const PAGES_BYTE = COUNTERS_BYTE + COUNTER_WORDS * 8;

/** The words of page `n` start at `PAGE_FIRST_WORD + n * PAGE_WORDS`. */
export const PAGE_FIRST_WORD: number = PAGES_BYTE / 4;
export const PAGE_WORDS = 4;
export const PAGE_STATE = 0;
export const PAGE_HOLDS = 1;
export const PAGE_GENERATION = 2;
export const PAGE_NEXT = 3;

/**
 * Whose a page is. A fresh block is all zero, so every page begins uncommitted.
 *
 *     UNCOMMITTED ──grow──▶ POOLED ──steal──▶ STOLEN        POOLED, no hold:    free
 *          ▲                  │                  │          POOLED, with holds: in use
 *          ├──────trim────────┘                  │
 *          └──────────give back──────────────────┘
 *
 * Free and in use are one state, so that taking and releasing a page writes as little as possible.
 */
export const STATE = { uncommitted: 0, pooled: 1, stolen: 2 } as const;

/** Generations count from 0 to here and around; a handle without a page has -1, which never matches. */
export const GENERATION_MASK = 0x7fff_ffff;
export const HOLDS_MAX = 0x7fff_ffff;

/** Bytes of a control block for `arenaPages` pages. */
export function controlBytes(arenaPages: number): number {
  return PAGES_BYTE + arenaPages * PAGE_WORDS * 4;
}

/** Byte range of the counters, for the Float64 view. */
export const COUNTERS: { readonly byteOffset: number; readonly length: number } = {
  byteOffset: COUNTERS_BYTE,
  length: COUNTER_WORDS,
};

invariant(
  Object.values(WORD).every((word, index) => word === index && word < HEADER_WORDS),
  "header words are dense and fit",
);
invariant(
  Object.values(COUNTER).every((word, index) => word === index && word < COUNTER_WORDS),
  "counters are dense and fit",
);
invariant(
  COUNTERS_BYTE % 8 === 0 && PAGES_BYTE % 16 === 0,
  "counters are 8-byte aligned, page words never straddle a cache line",
);

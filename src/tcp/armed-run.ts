import { Mbuf } from "../mbuf/mbuf.ts";
import type { PageFiller } from "../mbuf/page-filler.ts";
import type { Page } from "../pool/page.ts";
import type { JumboPool } from "../pool/pool.ts";
import { ReadSize } from "./read-size.ts";

/** The most one read brings, in bytes, when nobody says: of what the kernel has gathered while we were away, as much as is worth one system call. */
const READ_BYTES_MAX = 262_144;
/** What one socket may arm of its pool: 32 sockets of a thread may (see armed-pages.ts), and half of the pool stays free for what was read. */
const POOL_PARTS = 64;

/** How many pages one read from a socket of `pool` may fill, when nobody says. */
export function readPagesOf({ pageSizeBytes, pagesMax }: JumboPool): number {
  return Math.max(1, Math.min(READ_BYTES_MAX / pageSizeBytes, Math.floor(pagesMax / POOL_PARTS)));
}

/** Where the bytes go, and how many pages of them a read may bring. */
export type ReadInto = { readonly pool: JumboPool; readonly filler: PageFiller; readonly readPagesMax: number };

/**
 * The pages of one socket that the kernel fills from the front: side by side, as many as a read of this socket is worth.
 *
 *     ┌───────────┬───────────┬───────────┬───────────┐
 *     │ mbuf mbuf │ mbuf      │           │           │       each page has one hold of ours, and one for each mbuf over it
 *     └───────────┴───────────┴───────────┴───────────┘
 *                             ├─────── region ────────┤       what is armed
 *
 * Lifetime: from before Node is given the region until Node was given another one or has closed the handle: then {@link letGo}.
 */
export class ArmedRun {
  readonly #pool: JumboPool;
  readonly #filler: PageFiller;
  readonly #size: ReadSize;
  #pages: readonly Page[] = [];
  #bytes: Buffer = Buffer.alloc(0);
  #region: Buffer = this.#bytes;
  /** Of `#bytes`: so many have been filled. */
  #offset = 0;

  constructor({ pool, filler, readPagesMax }: ReadInto) {
    this.#pool = pool;
    this.#filler = filler;
    this.#size = new ReadSize(readPagesMax);
  }

  /** True when there are pages. */
  get isArmed(): boolean {
    return this.#pages.length > 0;
  }

  /** Where the next read goes, while {@link isArmed}. */
  get region(): Buffer {
    return this.#region;
  }

  /** Takes pages, fewer where the pool has few: what is armed must never bring it under pressure. False when it has none. There must be none yet. */
  take(): boolean {
    const sparePages = this.#pool.availablePages - this.#pool.highPages;
    const wanted = Math.max(1, Math.min(this.#size.pages, sparePages));
    if (!(wanted === 1 ? this.#takeOne() : this.#takeRun(wanted))) return false;
    this.#region = this.#bytes;
    this.#size.got(this.#pages.length);
    return true;
  }

  #takeOne(): boolean {
    const page = this.#pool.alloc();
    if (page === null) return false;
    this.#pages = [page];
    this.#bytes = page.bytes;
    return true;
  }

  #takeRun(wanted: number): boolean {
    const run = this.#pool.allocRun(wanted);
    if (run === null) return false;
    this.#pages = run.pages;
    this.#bytes = run.bytes;
    return true;
  }

  /** What a read brought, as mbufs, borrowed, one for each page. Each has a hold of its own. */
  cut(lengthBytes: number): Mbuf[] {
    this.#size.read(lengthBytes, this.#region.length);
    const { pageSizeBytes } = this.#pool;
    const first = Math.floor(this.#offset / pageSizeBytes);
    const start = this.#offset % pageSizeBytes;
    this.#offset += lengthBytes;
    if (start + lengthBytes <= pageSizeBytes) return [new Mbuf(this.#pages[first]!.hold(), start, lengthBytes)];
    const mbufs: Mbuf[] = [];
    for (let index = first, from = start, left = lengthBytes; left > 0; index++, from = 0) {
      const length = Math.min(left, pageSizeBytes - from);
      mbufs.push(new Mbuf(this.#pages[index]!.hold(), from, length));
      left -= length;
    }
    return mbufs;
  }

  /** Makes all of it the region again if nobody kept an mbuf, else the rest. False when the socket is better off with other pages. */
  rewind(): boolean {
    if (!this.#isKept()) this.#offset = 0;
    this.#region = this.#offset === 0 ? this.#bytes : this.#bytes.subarray(this.#offset);
    return this.#offset <= this.#bytes.length / 4 && this.#size.pages <= this.#pages.length;
  }

  /** Gives up our holds. Of a page that somebody keeps a part of, the rest goes to the filler. Again: nothing. */
  letGo(): void {
    const { pageSizeBytes } = this.#pool;
    const start = this.#offset % pageSizeBytes;
    const partly = this.#pages[Math.floor(this.#offset / pageSizeBytes)];
    if (partly !== undefined && start > 0 && partly.holdCount > 1) this.#filler.adopt(partly, start);
    for (const page of this.#pages) if (!page.isReleased) page.release(); // else its pool was closed by force
    this.#pages = [];
    this.#offset = 0;
  }

  /** True while somebody has an mbuf over what was filled. */
  #isKept(): boolean {
    const filledPages = Math.ceil(this.#offset / this.#pool.pageSizeBytes);
    for (let index = 0; index < filledPages; index++) if (this.#pages[index]!.holdCount > 1) return true;
    return false;
  }
}

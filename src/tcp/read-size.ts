/** Full reads before a longer run is asked for again, at most. */
const PATIENCE_MAX = 256;
/** Short runs, one after the other, from which it is concluded that the pool is scattered. */
const SHORT_RUNS_MAX = 4;

/**
 * How many pages one read of a socket is given.
 *
 *     a read fills its region ──▶ twice as many, up to the limit      leaves most of it ──▶ half as many
 *     fewer lie side by side, again and again ──▶ half as many, and twice as many full reads before more are asked for again
 *
 * So bulk gets long runs where the pool has them, messages get a page, and a pool whose pages are scattered is left in peace.
 */
export class ReadSize {
  readonly #pagesMax: number;
  #pages = 1;
  #patience = 1;
  #fullReadsLeft = 0;
  #shortRuns = 0;

  constructor(pagesMax: number) {
    this.#pagesMax = pagesMax;
  }

  /** What to ask for. */
  get pages(): number {
    return this.#pages;
  }

  /** A read brought so many bytes into a region of so many. */
  read(lengthBytes: number, regionBytes: number): void {
    if (lengthBytes < regionBytes / 4) this.#pages = Math.max(1, this.#pages >> 1);
    if (lengthBytes < regionBytes || --this.#fullReadsLeft > 0) return;
    this.#pages = Math.min(this.#pages * 2, this.#pagesMax);
  }

  /** So many of the pages that were asked for lie side by side. */
  got(pages: number): void {
    if (pages === this.#pages) {
      this.#shortRuns = 0;
      if (pages > 1) this.#patience = 1;
    } else if (++this.#shortRuns === SHORT_RUNS_MAX) {
      this.#shortRuns = 0;
      this.#pages >>= 1;
      this.#patience = Math.min(this.#patience * 2, PATIENCE_MAX);
      this.#fullReadsLeft = this.#patience;
    }
  }
}

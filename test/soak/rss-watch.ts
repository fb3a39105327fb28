/** Resident memory of this process while something runs. */

const EVERY_MS = 500;

export type RssRange = { readonly begin: number; readonly end: number; readonly max: number };

/** Looked at now and then, from its making to {@link end}. */
export class RssWatch {
  readonly #begin = rssMegabytes();
  #max = this.#begin;
  readonly #timer = setInterval(() => (this.#max = Math.max(this.#max, rssMegabytes())), EVERY_MS);

  end(): RssRange {
    clearInterval(this.#timer);
    return { begin: this.#begin, end: rssMegabytes(), max: this.#max };
  }
}

export function rssMegabytes(): number {
  return Math.round(process.memoryUsage.rss() / 1e6);
}

/** So many datagrams a millisecond are load: fewer are served as well one by one. */
const LOAD_PER_MS = 50;
/** A read that brought more is not lingered on: while we sleep the kernel's buffer, 208 KiB by default, would run over. */
const BYTES_MAX = 65_536;

/**
 * When a reader that has run dry sleeps for some tens of microseconds and reads again, which costs less than being woken for every few datagrams.
 *
 * Only at a rate at which being woken is what costs, measured from the end of the turn before: slow traffic, and a burst after silence, are not
 * waited upon. And only for the socket that rang last, so that of many busy ones none waits for another's sleep.
 */
export class Linger {
  /** Of this thread: whose turn was the last one. */
  static #last: Linger | null = null;
  readonly #microseconds: number;
  readonly #sleep: (microseconds: number) => void;
  #isLoaded = false;
  #endMs = 0;

  /** `microseconds` 0: never. */
  constructor(microseconds: number, sleep: (microseconds: number) => void) {
    this.#microseconds = microseconds;
    this.#sleep = sleep;
  }

  /** Sleeps, if that pays after a read that brought so many bytes; false when it does not. */
  afterDry(bytes: number): boolean {
    if (!this.#isLoaded || Linger.#last !== this || bytes > BYTES_MAX) return false;
    this.#sleep(this.#microseconds);
    return true;
  }

  /** A turn is over that brought so many datagrams. */
  endTurn(datagrams: number): void {
    const nowMs = performance.now();
    this.#isLoaded = this.#microseconds > 0 && datagrams >= LOAD_PER_MS * (nowMs - this.#endMs);
    this.#endMs = nowMs;
    Linger.#last = this;
  }

  /** There will be no turn any more. */
  close(): void {
    if (Linger.#last === this) Linger.#last = null;
  }
}

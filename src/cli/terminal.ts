const INTERVAL_MS = 200;
/** Of a terminal that does not know its width. */
const COLUMNS_DEFAULT = 80;
const CLEAR_LINE = "\r\u001B[K";

/**
 * Standard error: lines that stay, and below them, on a terminal only, one line that is drawn again and again.
 *
 * On a pipe there is no live line, so what a script reads is the lines alone.
 */
export class Terminal {
  readonly isInteractive: boolean;
  #timer: NodeJS.Timeout | null = null;
  #isDrawn = false;

  /** `isLiveAllowed`: false when the received bytes go to the same terminal. */
  constructor(isLiveAllowed: boolean) {
    this.isInteractive = isLiveAllowed && process.stderr.isTTY && process.env["TERM"] !== "dumb";
    process.stderr.on("error", () => {}); // nobody reads it any more: no reason to lose what is being received
  }

  line(text: string): void {
    this.#clear();
    process.stderr.write(`${text}\n`);
  }

  /** Draws what `live` says, five times a second, until {@link endLive}. */
  startLive(live: () => string): void {
    if (!this.isInteractive) return;
    this.#timer = setInterval(() => this.#draw(live()), INTERVAL_MS);
  }

  endLive(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    this.#clear();
  }

  #draw(text: string): void {
    this.#isDrawn = true;
    process.stderr.write(CLEAR_LINE + text.slice(0, (process.stderr.columns || COLUMNS_DEFAULT) - 1)); // a line that wraps cannot be cleared
  }

  #clear(): void {
    if (this.#isDrawn) process.stderr.write(CLEAR_LINE);
    this.#isDrawn = false;
  }
}

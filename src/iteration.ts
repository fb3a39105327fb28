import { JumboError } from "./errors.ts";

/**
 * The `next()` of an async iteration that waits for its answer: none, or one.
 *
 *     wait() ──▶ waiting ──answer() or end()──▶ not waiting
 */
export class PendingNext<T> {
  #resolve: ((result: IteratorResult<T, undefined>) => void) | null = null;
  #reject: (error: unknown) => void = () => {};

  get isWaiting(): boolean {
    return this.#resolve !== null;
  }

  /** Not while one is waiting. */
  wait(): Promise<IteratorResult<T, undefined>> {
    return new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  answer(value: T): void {
    this.#take()?.({ value, done: false });
  }

  /** Nothing more comes. */
  end(): void {
    this.#take()?.({ value: undefined, done: true });
  }

  fail(error: unknown): void {
    if (this.#take() !== null) this.#reject(error);
  }

  #take(): ((result: IteratorResult<T, undefined>) => void) | null {
    const resolve = this.#resolve;
    this.#resolve = null;
    return resolve;
  }
}

/** For what a consumer returns: a promise, of whatever make, means that it is not done yet. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}

/** The caller iterates what has a callback, or twice. */
export function modeError(text: string): JumboError {
  return new JumboError("ERR_JUMBO_RECEIVER_MODE", text);
}

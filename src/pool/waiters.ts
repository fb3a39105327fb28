import { JumboError } from "../errors.ts";
import type { Page } from "./page.ts";

type Waiter = {
  readonly resolve: (page: Page) => void;
  readonly reject: (reason: unknown) => void;
  /** Where the wait began, when audit mode watches it. */
  readonly origin: Error | null;
};

/**
 * Callers that wait for a page: first come, first served, at most `waitersMax`.
 *
 * Law: somebody waits only while no page is available, so `alloc` can never overtake a waiter.
 * A Set is the queue: in order of arrival, and an abort leaves from the middle in O(1). Thread: owner only.
 */
export class Waiters {
  readonly #queue = new Set<Waiter>();
  readonly #waitersMax: number;
  readonly #onAbort: () => void;

  constructor(waitersMax: number, onAbort: () => void) {
    this.#waitersMax = waitersMax;
    this.#onAbort = onAbort;
  }

  get count(): number {
    return this.#queue.size;
  }

  /** Rejects with `ERR_JUMBO_WAITERS_MAX` when the queue is full, with the signal's reason when it aborts. */
  wait(signal: AbortSignal | undefined, origin: Error | null): Promise<Page> {
    if (this.#queue.size >= this.#waitersMax) {
      const text = `${this.#waitersMax} callers wait for a page already: release pages, raise pagesMax, or shed load`;
      return Promise.reject(new JumboError("ERR_JUMBO_WAITERS_MAX", text));
    }
    return new Promise((resolve, reject) => {
      const abort = (): void => {
        this.#queue.delete(waiter);
        this.#onAbort();
        reject(signal?.reason);
      };
      const settled = (): void => signal?.removeEventListener("abort", abort);
      const waiter: Waiter = {
        resolve: (page) => (settled(), resolve(page)),
        reject: (reason) => (settled(), reject(reason)),
        origin,
      };
      signal?.addEventListener("abort", abort, { once: true });
      this.#queue.add(waiter);
    });
  }

  /** Hands pages to the waiters, oldest first, until either runs out. */
  serve(take: (origin: Error | null) => Page | null): void {
    for (const waiter of this.#queue) {
      const page = take(waiter.origin);
      if (page === null) return;
      this.#queue.delete(waiter);
      waiter.resolve(page);
    }
  }

  rejectAll(reason: () => Error): void {
    for (const waiter of this.#queue) waiter.reject(reason());
    this.#queue.clear();
  }
}

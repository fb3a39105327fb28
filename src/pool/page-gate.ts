import type { JumboPool } from "./pool.ts";

/** A receiver, as far as the gate is concerned. */
export type Gated = {
  /** Stops reading until {@link goOn}. */
  stopForPages(): void;
  goOn(): void;
};

/** How many receivers go on at a time at most, before the rest of the event loop and a look at the pool. */
const GO_ON_MAX = 16;
/** One goes on for each so many pages: a read of UDP takes as many. Of more, the event loop's order, always the same, would decide who gets them. */
const PAGES_EACH = 32;

/**
 * Stops the receivers of one pool when its pages run short, and lets them go on, fairly, when there are some again.
 *
 *     pressure ──▶ all stop ──▶ waiting: A, B, C, … (first come, first served)
 *     relief   ──▶ A, or up to A … P, as there are pages, go on; a turn of the event loop later, without pressure, the next ones; and so on
 *
 * Who goes on and runs into pressure again stands at the end of the line: with n sockets each gets its share.
 * Law: a receiver waits only while there is pressure, or while a turn to let it go on is scheduled. Thread: owner only.
 */
export class PageGate {
  static readonly #gates = new WeakMap<JumboPool, PageGate>();
  readonly #pool: JumboPool;
  readonly #receivers = new Set<Gated>();
  /** In order of arrival. */
  readonly #waiting = new Set<Gated>();
  #isTurnScheduled = false;

  private constructor(pool: JumboPool) {
    this.#pool = pool;
    pool.onPressure(() => this.#stopAll());
    pool.onRelief(() => this.#nextTurn());
  }

  /** The gate of `pool`: one for all its receivers. */
  static of(pool: JumboPool): PageGate {
    let gate = PageGate.#gates.get(pool);
    if (gate === undefined) PageGate.#gates.set(pool, (gate = new PageGate(pool)));
    return gate;
  }

  get isClosed(): boolean {
    return this.#pool.isUnderPressure;
  }

  enter(receiver: Gated): void {
    this.#receivers.add(receiver);
    if (this.isClosed) this.#stop(receiver);
  }

  leave(receiver: Gated): void {
    this.#receivers.delete(receiver);
    this.#waiting.delete(receiver);
  }

  /** Puts a receiver that has stopped reading at the end of the line. */
  wait(receiver: Gated): void {
    this.#waiting.delete(receiver);
    this.#waiting.add(receiver);
    // The pool tells nobody of a pressure that was over before it could: so look again.
    if (!this.#isTurnScheduled) this.#schedule();
  }

  /** Those who were reading, or let go and had no turn yet, stand before those who wait since they had theirs. */
  #stopAll(): void {
    const waiting = [...this.#waiting];
    const reading = [...this.#receivers].filter((receiver) => !this.#waiting.has(receiver));
    this.#waiting.clear();
    for (const receiver of reading) this.#stop(receiver);
    for (const receiver of waiting) this.#waiting.add(receiver);
  }

  #stop(receiver: Gated): void {
    receiver.stopForPages();
    this.wait(receiver);
  }

  #schedule(): void {
    this.#isTurnScheduled = true;
    setImmediate(() => {
      this.#isTurnScheduled = false;
      this.#nextTurn();
    });
  }

  #nextTurn(): void {
    let rest = Math.min(GO_ON_MAX, Math.max(1, Math.floor(this.#pool.availablePages / PAGES_EACH)));
    for (const receiver of this.#waiting) {
      if (this.isClosed) return; // relief calls again
      if (rest-- === 0) {
        if (!this.#isTurnScheduled) this.#schedule();
        return;
      }
      this.#waiting.delete(receiver);
      receiver.goOn();
    }
  }
}

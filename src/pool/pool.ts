/* oxlint-disable unbound-method -- audit.sample() gets methods as the frames at which a stack begins; it calls none of them */
import { JumboError } from "../errors.ts";
import { Arena } from "../memory/arena.ts";
import { createControlBlock } from "../memory/control-block.ts";
import type { ControlBlock } from "../memory/control-block.ts";
import { COUNTER, NIL as NO_PAGE } from "../memory/layout.ts";
import { Audit } from "./audit.ts";
import type { PageHolder } from "./audit.ts";
import { takeRun } from "./free-runs.ts";
import { abandonAll, listHolders, pagesOutError } from "./holders.ts";
import { poolSettings } from "./options.ts";
import type { PoolOptions, PoolSettings } from "./options.ts";
import { PageHome } from "./page-home.ts";
import { PageTable } from "./page-table.ts";
import { Page } from "./page.ts";
import { PoolSize } from "./pool-size.ts";
import { blockStats } from "./stats.ts";
import type { PoolStats } from "./stats.ts";
import { StolenPages } from "./stolen-pages.ts";
import { verifyPages } from "./verify.ts";
import { Waiters } from "./waiters.ts";
import { Watermarks } from "./watermarks.ts";

const NIL = NO_PAGE; // a constant of this module: see page-table.ts

/** Pages that lie side by side, lowest first, and the bytes of all of them in one piece: good until the first of them is released. */
export type PageRun = { readonly pages: readonly Page[]; readonly bytes: Buffer };

/**
 * A pool of page-sized buffers in one arena.
 *
 *     alloc ──▶ Page ──release──▶ free list ──▶ alloc …           LIFO: the warmest page goes out first
 *                 └───steal─────▶ StolenPage ──release──▶ arena   the pool may grow in its place
 *
 * Memory is bounded by `(pagesMax + stolenMax) × pageSizeBytes`, committed on demand, given back when idle.
 * Thread: the one that made it. After jumbo(9), FreeBSD 5.0 kern/uipc_jumbo.c.
 */
export class JumboPool {
  readonly pageSizeBytes: number;
  readonly pagesMax: number;
  /** Receivers that stopped for want of pages go on when this many are available. */
  readonly highPages: number;
  /** Settles when the pool has been closed. */
  readonly closed: Promise<void>;
  readonly #settings: PoolSettings;
  readonly #block: ControlBlock;
  readonly #arena: Arena;
  readonly #table: PageTable;
  readonly #home: PageHome;
  readonly #waiters: Waiters;
  readonly #watermarks: Watermarks;
  readonly #audit: Audit | null;
  readonly #size: PoolSize;
  #settleClosed: () => void = () => {};
  #isClosed = false;

  /** @throws JumboError `ERR_JUMBO_OPTION_INVALID` naming the option */
  constructor(options: PoolOptions = {}) {
    const settings = poolSettings(options, process.env);
    this.#settings = settings;
    this.pageSizeBytes = settings.pageSizeBytes;
    this.pagesMax = settings.pagesMax;
    this.highPages = settings.highPages;
    this.closed = new Promise((resolve) => (this.#settleClosed = resolve));
    this.#block = createControlBlock(settings);
    this.#table = new PageTable(this.#block);
    this.#arena = new Arena(settings.pageSizeBytes, settings.pagesMax + settings.stolenMax);
    const count = (path: number): void => this.#count(path);
    this.#waiters = new Waiters(settings.waitersMax, () => this.#count(COUNTER.waitAborted));
    this.#watermarks = new Watermarks(settings, () => {
      this.#home.attend();
      this.#count(COUNTER.pressures);
    });
    this.#audit = settings.audit === null ? null : new Audit(this.#arena, this.#table, settings.audit, count);
    this.#home = new PageHome({
      arena: this.#arena,
      table: this.#table,
      audit: this.#audit,
      stolen: new StolenPages(this.#arena, this.#table, count),
      waiters: this.#waiters,
      watermarks: this.#watermarks,
      zeroOnRelease: settings.zeroOnRelease,
      takeFor: (origin): Page | null => this.#takeFor(origin),
    });
    const [block, arena, table, watermarks, audit] = [
      this.#block,
      this.#arena,
      this.#table,
      this.#watermarks,
      this.#audit,
    ];
    this.#size = new PoolSize({ settings, block, arena, table, watermarks, audit });
  }

  /**
   * A page of your own, with one hold; `null`, with nothing changed, when all are out. Never blocks, never zeroes. O(1), about 20 ns.
   * @throws JumboError `ERR_JUMBO_POOL_CLOSED`
   */
  alloc(): Page | null {
    const { table } = this.#home;
    const number = table.take();
    if (number === NIL || table.inUse > this.#watermarks.alarmAbove || this.#audit !== null) {
      return this.#allocCarefully(number);
    }
    return new Page(this.#home, number);
  }

  /**
   * Appends up to `count` pages to `pages`, each as from {@link alloc}.
   * @returns how many; fewer than `count` when the pool runs out
   * @throws JumboError `ERR_JUMBO_OPTION_INVALID` when `count` is not a whole number, `ERR_JUMBO_POOL_CLOSED`
   */
  allocMany(pages: Page[], count: number): number {
    checkCount(count, 0);
    for (let taken = 0; taken < count; taken++) {
      const page = this.#take();
      if (page === null) {
        this.#refused();
        return taken;
      }
      if (this.#audit !== null) this.#watch(page, this.#audit.sample(this.allocMany));
      pages.push(page);
    }
    return count;
  }

  /**
   * Pages that lie side by side in memory, each as from {@link alloc}: as many as come off the free list that way, at most `count`, at least one.
   * Pages that were released in order come back as a run; where the list is shuffled it is short. `null` when all are out.
   * @throws JumboError `ERR_JUMBO_OPTION_INVALID` when `count` is not a whole number from 1 on, `ERR_JUMBO_POOL_CLOSED`
   */
  allocRun(count: number): PageRun | null {
    checkCount(count, 1);
    while (this.#table.free < count && !this.#isClosed && this.#size.grow());
    const range = takeRun(this.#table, count);
    if (range === null) {
      const page = this.alloc(); // in audit mode one may wait in the quarantine
      return page === null ? null : { pages: [page], bytes: page.bytes };
    }
    const { first, last } = range;
    const pages: Page[] = [];
    for (let number = first; number <= last; number++) {
      pages.push(this.#watch(this.#handle(number), this.#audit?.sample(this.allocRun) ?? null));
    }
    return { pages, bytes: pages.length === 1 ? pages[0]!.bytes : this.#arena.rangeOf(first, pages.length) };
  }

  /**
   * A page as soon as there is one: first come, first served. A page that was promised is yours, also when the signal aborts later.
   * Rejects with `ERR_JUMBO_WAITERS_MAX`, with `ERR_JUMBO_POOL_CLOSED` on close, and with the signal's reason when it aborts.
   */
  async allocOrWait(options: { readonly signal?: AbortSignal | undefined } = {}): Promise<Page> {
    const { signal } = options;
    signal?.throwIfAborted();
    const page = this.#take();
    const origin = this.#audit?.sample(this.allocOrWait) ?? null;
    if (page !== null) return this.#watch(page, origin);
    this.#count(COUNTER.waited);
    this.#home.attend();
    this.#watermarks.refused(this.#table.inUse);
    return this.#waiters.wait(signal, origin);
  }

  /** Pages that can still be taken before the pool is exhausted: `pagesMax` − in use. */
  get availablePages(): number {
    return this.pagesMax - this.#table.inUse;
  }

  /** True from the moment fewer than `lowPages` are available until `highPages` are again. */
  get isUnderPressure(): boolean {
    return this.#watermarks.isUnderPressure;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** `listener` is called, in a microtask, when the pool comes under pressure. Returns the function that ends that. */
  onPressure(listener: () => void): () => void {
    return this.#watermarks.onPressure(listener);
  }

  /** `listener` is called, in a microtask, when the pressure is over. Returns the function that ends that. */
  onRelief(listener: () => void): () => void {
    return this.#watermarks.onRelief(listener);
  }

  /**
   * Gives the memory of all free pages back to the system, where the system lets us (Linux with `koffi`); otherwise they are
   * kept, and counted in `trimKept`. Pages that are out are never touched. O(free pages): for an idle moment.
   * @returns how many pages went back
   */
  trim(): number {
    if (this.#isClosed) throw this.#closedError();
    while (this.#table.endQuarantine());
    return this.#size.trim(this.#table.free);
  }

  /** One consistent snapshot. Cheap: some tens of numbers, no walk. */
  stats(): PoolStats {
    return {
      ...blockStats(this.#block),
      inUsePeak: this.#size.inUsePeak,
      waiting: this.#waiters.count,
      isUnderPressure: this.isUnderPressure,
    };
  }

  /** Who has the pages that are out; ages and stacks for those that audit mode watches. At most `limit`; O(arena pages). */
  holders(limit = 100): PageHolder[] {
    return listHolders(this.#table, this.#audit, limit);
  }

  /**
   * Checks every law of the pool by walking all of it. O(arena pages).
   * @throws InvariantError naming the law that is broken: our bug
   */
  verify(): void {
    verifyPages(this.#block);
  }

  /**
   * Closes the pool: no page can be taken any more, and who waits is refused. Stolen pages stay their owners'. Again: nothing.
   *
   * With `force`, pages that are out are taken from their holders: their handles are stale from here on. Nobody else
   * ever gets that memory, so a system call that still writes there does no harm.
   * @throws JumboError `ERR_JUMBO_PAGES_OUT`, with nothing changed, when pages are out; the message says how many, and with audit mode where from
   */
  close(options: { readonly force?: boolean } = {}): void {
    if (this.#isClosed) return;
    if (this.#table.inUse > 0 && options.force !== true) throw pagesOutError(this.#table, this.#audit);
    this.#isClosed = true;
    this.#size.stop();
    this.#count(COUNTER.abandoned, abandonAll(this.#table, this.#audit));
    this.#waiters.rejectAll(() => this.#closedError());
    this.#settleClosed();
  }

  /** {@link close} without force: for `using`. */
  [Symbol.dispose](): void {
    this.close();
  }

  #take(): Page | null {
    const number = this.#table.takeAny();
    if (number !== NIL) return this.#handle(number);
    if (this.#isClosed) throw this.#closedError();
    return this.#size.refill() ? this.#take() : null;
  }

  /** {@link alloc} when it has not got a page yet (`number` is NIL), or when the audit wants to see it. */
  #allocCarefully(number: number): Page | null {
    const page = number === NIL ? this.#take() : this.#handle(number);
    if (page === null) this.#refused();
    else if (this.#audit !== null) this.#watch(page, this.#audit.sample(this.alloc));
    return page;
  }

  #handle(number: number): Page {
    this.#watermarks.took(this.#table.inUse);
    return new Page(this.#home, number);
  }

  #refused(): void {
    this.#count(COUNTER.refused);
    this.#watermarks.refused(this.#table.inUse);
  }

  #watch(page: Page, origin: Error | null): Page {
    if (this.#audit?.taken(page, origin) === "poisoned" && this.#settings.zeroOnRelease) page.bytes.fill(0);
    return page;
  }

  #takeFor(origin: Error | null): Page | null {
    const page = this.#take();
    return page === null ? null : this.#watch(page, origin);
  }

  #count(path: number, count = 1): void {
    this.#block.counters[path]! += count;
  }

  #closedError(): JumboError {
    return new JumboError("ERR_JUMBO_POOL_CLOSED", "the pool has been closed");
  }
}

function checkCount(count: number, min: number): void {
  if (Number.isInteger(count) && count >= min) return;
  throw new JumboError("ERR_JUMBO_OPTION_INVALID", `count must be a whole number from ${min} on, not ${count}`);
}

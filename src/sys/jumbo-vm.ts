import { JumboError } from "../errors.ts";
import { JumboPool } from "../pool/pool.ts";
import type { PoolStats } from "../pool/stats.ts";
import type { StolenPage } from "../pool/stolen-page.ts";
import { JUMBO_MAX_PAGES, KvaRange, shown } from "./kva-range.ts";
import { VmPage } from "./vm-page.ts";

/** Where `jumbo_vm_init` can fail: making the pool (the VM object), reserving the KVA range. */
export type InitStep = "object" | "kva";

export type JumboOptions = {
  /** The pool to take pages from; it stays yours to close. Default: one of {@link JUMBO_MAX_PAGES} pages, made by `jumbo_vm_init`. */
  readonly pool?: JumboPool;
  /** Asked at each step of `jumbo_vm_init`; true makes the step fail. For tests only. @internal */
  readonly failAt?: (step: InitStep) => boolean;
};

/** Where the slots are, how often the unusual paths were taken, and the pool below. */
export type JumboStats = {
  readonly isInitialized: boolean;
  /** Slots in all; 0 before `jumbo_vm_init`. free + in use = pages. */
  readonly kvaPages: number;
  readonly kvaFree: number;
  readonly kvaInUse: number;
  /** Slots freed after their page had been flipped away (or its pool closed by force): only the slot came back. */
  readonly freedAfterFlip: number;
  /** Frees that had to wait for the last unhold. */
  readonly freesDeferred: number;
  /** The pool's own counts; null before `jumbo_vm_init`. */
  readonly pool: PoolStats | null;
};

/** What a slot maps. "flipped": its page belongs to somebody else, the slot waits to be freed. */
type Mapping = VmPage | "flipped" | undefined;

/** What `jumbo_vm_init` makes. */
type Kernel = {
  readonly pool: JumboPool;
  readonly isPoolOurs: boolean;
  readonly range: KvaRange;
  /** Where physical addresses end. */
  readonly arenaBytes: number;
};

/**
 * The state behind the six functions: which slot maps which page.
 *
 *     kva ──▶ slot ──▶ VmPage ──▶ Page           pa ──▶ page number ──▶ slot
 *
 *     free ──alloc──▶ mapped ──free, no hold──────────────────────────────▶ free     page back in the pool
 *                       ├──free, held──▶ free pending ──last unhold───────▶ free     page back in the pool
 *                       ├──steal──────────────────────────────────────────▶ free     page its new owner's
 *                       └──flip──▶ flipped ──free──▶ freedAfterFlip + 1 ──▶ free     page its new owner's
 *
 * Laws: a slot maps at most one page, and a page has at most one slot. What is refused changes nothing.
 * Every method is O(1). Thread: that of the pool. After kern/uipc_jumbo.c, FreeBSD 5.0.
 */
export class JumboVm {
  readonly #options: JumboOptions;
  #kernel: Kernel | null = null;
  readonly #mapped: Mapping[] = Array.from({ length: JUMBO_MAX_PAGES }, () => undefined);
  readonly #slotOfPage = new Map<number, number>();
  /** The page that a Buffer of {@link bytesAt} begins: such a Buffer is a pointer to it. */
  readonly #pageOfBytes = new WeakMap<Uint8Array, VmPage>();
  #freedAfterFlip = 0;
  #freesDeferred = 0;

  constructor(options: JumboOptions) {
    const { pool } = options;
    if (pool !== undefined && !(pool instanceof JumboPool)) {
      throw new JumboError("ERR_JUMBO_OPTION_INVALID", `pool must be a JumboPool, not ${String(pool)}`);
    }
    this.#options = options;
  }

  init(): 0 | 1 {
    if (this.#kernel !== null) return 1;
    const pool = this.#makePool();
    if (pool === null) return 0;
    const isPoolOurs = pool !== this.#options.pool;
    if (this.#options.failAt?.("kva") === true) {
      if (isPoolOurs) pool.close();
      return 0;
    }
    const arenaBytes = pool.stats().arenaPages * pool.pageSizeBytes;
    this.#kernel = { pool, isPoolOurs, range: new KvaRange(pool.pageSizeBytes), arenaBytes };
    return 1;
  }

  destroy(): void {
    if (this.#kernel === null) return;
    const { pool, isPoolOurs, range } = this.#kernel;
    const out = JUMBO_MAX_PAGES - range.free;
    if (out > 0) throw new JumboError("ERR_JUMBO_PAGES_OUT", `${out} pages are mapped: free them first`);
    if (isPoolOurs) pool.close();
    this.#kernel = null;
  }

  alloc(): VmPage | null {
    if (this.#kernel === null) return null;
    const { pool, range } = this.#kernel;
    const slot = range.take();
    if (slot === undefined) return null;
    const page = pool.isClosed ? null : pool.alloc();
    if (page === null) {
      range.put(slot);
      return null;
    }
    const pg = new VmPage(this, page, pool.pageSizeBytes, slot);
    this.#mapped[slot] = pg;
    this.#slotOfPage.set(page.number, slot);
    return pg;
  }

  /** Frees by address, or by the bytes that {@link bytesAt} gave for it: what an mbuf has of its storage. */
  free(start: number | Uint8Array): void {
    const { range } = this.#initialized();
    const kva = typeof start === "number" ? start : this.#addressOf(start);
    const slot = range.slotAt(kva);
    const mapping = this.#mapped[slot];
    if (mapping === undefined)
      throw released(`nothing is mapped at ${shown(kva)}: it was freed before, or never allocated`);
    // Ownership first: a page that is no longer ours has no holds for us to respect.
    if (mapping === "flipped" || mapping.page.isReleased) {
      this.#freedAfterFlip++;
      this.#unmap(slot);
    } else if (mapping.isFreePending) {
      throw released(`the page at ${shown(kva)} was freed before; it goes back when its last holder lets go`);
    } else if (mapping.hold_count > 0) {
      mapping.isFreePending = true;
      this.#freesDeferred++;
    } else {
      this.#freeNow(mapping);
    }
  }

  /** The page leaves at once, and so does its slot. */
  steal(pg: unknown): StolenPage {
    const mapping = this.#mappingOf(pg);
    const stolen = mapping.page.steal();
    this.#unmap(mapping.pindex);
    return stolen;
  }

  /** The page leaves at once; its slot stays out until it is freed. */
  flip(kva: number): StolenPage {
    const { slot, mapping } = this.#locate(kva);
    const stolen = mapping.page.steal();
    this.#slotOfPage.delete(mapping.page.number);
    this.#mapped[slot] = "flipped";
    return stolen;
  }

  hold(pg: unknown): void {
    this.#mappingOf(pg).page.hold();
  }

  unhold(pg: unknown): void {
    const mapping = this.#mappingOf(pg);
    if (mapping.hold_count === 0) throw released(`page ${mapping.page.number} has no hold to drop`);
    mapping.page.release();
    if (mapping.isFreePending && mapping.hold_count === 0) this.#freeNow(mapping);
  }

  kvaOf(pa: number): number {
    const { pool, range, arenaBytes } = this.#initialized();
    if (!Number.isSafeInteger(pa) || pa < 0 || pa >= arenaBytes) {
      throw new JumboError("ERR_JUMBO_ADDRESS_INVALID", `${shown(pa)} is not a physical address`);
    }
    const number = Math.floor(pa / pool.pageSizeBytes);
    const slot = this.#slotOfPage.get(number);
    if (slot === undefined)
      throw new JumboError("ERR_JUMBO_PAGE_FOREIGN", `the page at ${shown(pa)} is not one of ours`);
    return range.kvaOf(slot);
  }

  physOf(kva: number): number {
    const { offset, mapping } = this.#locate(kva);
    return mapping.phys_addr + offset;
  }

  bytesAt(kva: number, length?: number): Buffer {
    const { offset, mapping } = this.#locate(kva);
    const { bytes } = mapping.page;
    const rest = bytes.length - offset;
    const wanted = length ?? rest;
    if (!Number.isInteger(wanted) || wanted < 0 || wanted > rest) {
      throw new JumboError(
        "ERR_JUMBO_ADDRESS_INVALID",
        `${wanted} bytes from ${shown(kva)} are not in one page: ${rest} are`,
      );
    }
    const view = bytes.subarray(offset, offset + wanted);
    if (offset === 0) this.#pageOfBytes.set(view, mapping);
    return view;
  }

  stats(): JumboStats {
    const kernel = this.#kernel;
    const kvaPages = kernel === null ? 0 : JUMBO_MAX_PAGES;
    const kvaFree = kernel?.range.free ?? 0;
    return {
      isInitialized: kernel !== null,
      kvaPages,
      kvaFree,
      kvaInUse: kvaPages - kvaFree,
      freedAfterFlip: this.#freedAfterFlip,
      freesDeferred: this.#freesDeferred,
      pool: kernel?.pool.stats() ?? null,
    };
  }

  #makePool(): JumboPool | null {
    if (this.#options.failAt?.("object") === true) return null;
    try {
      return this.#options.pool ?? new JumboPool({ pagesMax: JUMBO_MAX_PAGES });
    } catch (error) {
      if (error instanceof RangeError) return null; // no address space for the arena
      throw error;
    }
  }

  /** The address of what `bytes` show; stale bytes have none, also when their slot is in use again. */
  #addressOf(bytes: Uint8Array): number {
    const pg = this.#pageOfBytes.get(bytes);
    if (pg === undefined)
      throw new JumboError(
        "ERR_JUMBO_ADDRESS_INVALID",
        "these bytes are not the start of a page that kva_bytes() gave",
      );
    const mapping = this.#mapped[pg.pindex];
    if (mapping !== pg && mapping !== "flipped") throw released(`page ${pg.page.number} has been freed before`);
    return this.#initialized().range.kvaOf(pg.pindex);
  }

  #freeNow(mapping: VmPage): void {
    mapping.page.release();
    this.#unmap(mapping.pindex);
  }

  /** Nothing is mapped at `slot` any more; it is the next to be handed out. */
  #unmap(slot: number): void {
    const mapping = this.#mapped[slot];
    if (mapping instanceof VmPage) this.#slotOfPage.delete(mapping.page.number);
    this.#mapped[slot] = undefined;
    this.#initialized().range.put(slot);
  }

  #initialized(): Kernel {
    if (this.#kernel !== null) return this.#kernel;
    throw new JumboError("ERR_JUMBO_NOT_INITIALIZED", "jumbo_vm_init() comes first");
  }

  /** What is mapped where `kva` points, inside the page or at its beginning. */
  #locate(kva: number): { slot: number; offset: number; mapping: VmPage } {
    const { slot, offset } = this.#initialized().range.locate(kva);
    const mapping = this.#mapped[slot];
    if (mapping === undefined) throw released(`nothing is mapped at ${shown(kva)}`);
    if (mapping === "flipped")
      throw released(`the page at ${shown(kva)} has been flipped away: it belongs to somebody else`);
    return { slot, offset, mapping };
  }

  /** `pg` itself, once it is known to be mapped by us. */
  #mappingOf(pg: unknown): VmPage {
    this.#initialized();
    if (!(pg instanceof VmPage) || pg.owner !== this)
      throw new JumboError("ERR_JUMBO_PAGE_FOREIGN", "that page is not one of ours");
    if (this.#mapped[pg.pindex] !== pg) throw released(`page ${pg.page.number} has been freed, flipped away or stolen`);
    return pg;
  }
}

function released(what: string): JumboError {
  return new JumboError("ERR_JUMBO_PAGE_RELEASED", what);
}

import type { StolenPage } from "../pool/stolen-page.ts";
import { JumboVm } from "./jumbo-vm.ts";
import type { JumboOptions, JumboStats } from "./jumbo-vm.ts";
import type { caddr_t, vm_offset_t, vm_page_t } from "./vm-page.ts";

/**
 * The functions of jumbo(9), bound to one KVA range over one pool. They need no `this`: take them apart freely,
 * and hand `jumbo_freem` over as a free routine.
 */
export type Jumbo = {
  /**
   * Prepares the KVA range and, unless one was given, the pool. Call it first; again has no effect.
   * @returns 1 on success, 0 on failure: then everything is rolled back, and another try may succeed. jumbo(9)
   */
  readonly jumbo_vm_init: () => 0 | 1;

  /**
   * A page, mapped at a slot: first the highest kva, afterwards the one most recently freed.
   * @returns the page; null when there is no page or no slot, before `jumbo_vm_init`, and when the pool was closed.
   *   Never blocks, never zeroes. O(1). jumbo(9)
   */
  readonly jumbo_pg_alloc: () => vm_page_t | null;

  /**
   * Frees the page at `addr` and recycles its slot. A page that is held is freed when its last holder lets go; of one
   * that was flipped away, only the slot comes back. jumbo(9)
   * @throws JumboError with nothing changed: `ERR_JUMBO_ADDRESS_INVALID` when `addr` is not the first address of a page,
   *   `ERR_JUMBO_PAGE_RELEASED` when nothing is mapped there, `ERR_JUMBO_NOT_INITIALIZED`
   */
  readonly jumbo_pg_free: (addr: vm_offset_t) => void;

  /**
   * The external free routine for an mbuf whose storage is the page at `addr`; `args` is ignored. jumbo(9), mbuf(9)
   *
   * A pointer is an address and its bytes in one, so `addr` may also be the very Buffer that `kva_bytes(addr)` gave:
   * `Mbuf.external(kva_bytes(kva), jumbo_freem, null)`.
   * @throws JumboError as `jumbo_pg_free` does
   */
  readonly jumbo_freem: (addr: caddr_t | Uint8Array, args?: unknown) => void;

  /**
   * Takes a page out of the pool for good and recycles its slot at once; the pool may grow in its place.
   *
   * `pg` ends here, and its bytes live on in the {@link StolenPage} that comes back, which is yours until you release it.
   * The original returns nothing, because there the vm_page itself lives on. No copy. jumbo(9)
   * @throws JumboError with nothing changed: `ERR_JUMBO_PAGE_FOREIGN`, `ERR_JUMBO_PAGE_RELEASED`, `ERR_JUMBO_PAGE_SHARED` when
   *   it is held, `ERR_JUMBO_STOLEN_MAX`, `ERR_JUMBO_NOT_INITIALIZED`
   */
  readonly jumbo_pg_steal: (pg: vm_page_t) => StolenPage;

  /**
   * The first kva of the page that contains the physical address `pa`; an offset into the page is dropped. jumbo(9)
   * @throws JumboError `ERR_JUMBO_ADDRESS_INVALID` when `pa` is not a physical address, `ERR_JUMBO_PAGE_FOREIGN` when no slot
   *   maps that page, `ERR_JUMBO_NOT_INITIALIZED`
   */
  readonly jumbo_phys_to_kva: (pa: vm_offset_t) => caddr_t;

  /**
   * The bytes mapped at `addr`: `length` of them, or all up to the end of the page. No copy; do not use them after the free.
   * @throws JumboError `ERR_JUMBO_ADDRESS_INVALID` when they are not in one page of the range, `ERR_JUMBO_PAGE_RELEASED` when
   *   nothing is mapped there, `ERR_JUMBO_NOT_INITIALIZED`
   */
  readonly kva_bytes: (addr: caddr_t, length?: number) => Buffer;

  /**
   * The physical address behind `addr`, offset included.
   * @throws JumboError as `kva_bytes` does
   */
  readonly vtophys: (addr: caddr_t) => vm_offset_t;

  /**
   * One hold more on `pg`: a free is put off until it is dropped. vm/vm_page.c
   * @throws JumboError `ERR_JUMBO_PAGE_FOREIGN`, `ERR_JUMBO_PAGE_RELEASED`, `ERR_JUMBO_HOLD_MAX`, `ERR_JUMBO_NOT_INITIALIZED`
   */
  readonly vm_page_hold: (pg: vm_page_t) => void;

  /**
   * One hold less on `pg`; the last one carries out a free that was put off. vm/vm_page.c
   * @throws JumboError `ERR_JUMBO_PAGE_RELEASED` also when there is no hold to drop; `ERR_JUMBO_PAGE_FOREIGN`, `ERR_JUMBO_NOT_INITIALIZED`
   */
  readonly vm_page_unhold: (pg: vm_page_t) => void;

  /** How many slots are where, and the pool below. Before `jumbo_vm_init` too. */
  readonly jumbo_stats: () => JumboStats;

  /**
   * Undoes `jumbo_vm_init`, and closes the pool if it was made there. Again: nothing. Not in the original, which has no teardown.
   * @throws JumboError `ERR_JUMBO_PAGES_OUT`, with nothing changed, while slots are in use
   */
  readonly jumbo_vm_destroy: () => void;

  /**
   * Flips the page at `addr` away, as zero-copy receive does when it moves a page to its reader: the page is the caller's,
   * `addr` stays out until `jumbo_freem(addr)`, which then recycles only the slot. kern_subr.c, vm_pgmoveco()
   * @throws JumboError with nothing changed: `ERR_JUMBO_PAGE_SHARED` when it is held, `ERR_JUMBO_STOLEN_MAX`, and as `kva_bytes` does
   * @internal
   */
  readonly vm_pgmoveco: (addr: caddr_t) => StolenPage;
};

/**
 * The functions of jumbo(9) over a KVA range of their own, and over `options.pool` or a pool of their own.
 * @throws JumboError `ERR_JUMBO_OPTION_INVALID` when `options.pool` is not a pool
 */
export function createJumbo(options: JumboOptions = {}): Jumbo {
  const vm = new JumboVm(options);
  return {
    jumbo_vm_init: () => vm.init(),
    jumbo_pg_alloc: () => vm.alloc(),
    jumbo_pg_free: (addr) => vm.free(addr),
    jumbo_freem: (addr) => vm.free(addr),
    jumbo_pg_steal: (pg) => vm.steal(pg),
    jumbo_phys_to_kva: (pa) => vm.kvaOf(pa),
    kva_bytes: (addr, length) => vm.bytesAt(addr, length),
    vtophys: (addr) => vm.physOf(addr),
    vm_page_hold: (pg) => vm.hold(pg),
    vm_page_unhold: (pg) => vm.unhold(pg),
    jumbo_stats: () => vm.stats(),
    jumbo_vm_destroy: () => vm.destroy(),
    vm_pgmoveco: (addr) => vm.flip(addr),
  };
}

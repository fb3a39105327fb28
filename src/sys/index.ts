/**
 * jumbo(9): page-sized disposable buffers under the names of the man page.
 *
 * The functions here share one allocator for the process, over a pool of 3072 pages of 4 KiB that `jumbo_vm_init` makes.
 * `createJumbo({ pool })` gives the same functions over a pool of your own. See `man jumbo`.
 */
import { createJumbo } from "./jumbo.ts";
import type { Jumbo } from "./jumbo.ts";

const jumbo: Jumbo = createJumbo();

/** Bytes of a page of the allocator below. With `createJumbo`, pages are as long as the pool's. */
export const PAGE_SIZE = 4096;

/** Prepares the allocator: 1 on success, 0 on failure. {@link Jumbo.jumbo_vm_init} */
export const jumbo_vm_init: Jumbo["jumbo_vm_init"] = jumbo.jumbo_vm_init;
/** A page, or null. {@link Jumbo.jumbo_pg_alloc} */
export const jumbo_pg_alloc: Jumbo["jumbo_pg_alloc"] = jumbo.jumbo_pg_alloc;
/** Frees the page at an address. {@link Jumbo.jumbo_pg_free} */
export const jumbo_pg_free: Jumbo["jumbo_pg_free"] = jumbo.jumbo_pg_free;
/** The external free routine of an mbuf. {@link Jumbo.jumbo_freem} */
export const jumbo_freem: Jumbo["jumbo_freem"] = jumbo.jumbo_freem;
/** Takes a page out of the pool for good. {@link Jumbo.jumbo_pg_steal} */
export const jumbo_pg_steal: Jumbo["jumbo_pg_steal"] = jumbo.jumbo_pg_steal;
/** From a physical address to a virtual one. {@link Jumbo.jumbo_phys_to_kva} */
export const jumbo_phys_to_kva: Jumbo["jumbo_phys_to_kva"] = jumbo.jumbo_phys_to_kva;
/** The bytes mapped at an address. {@link Jumbo.kva_bytes} */
export const kva_bytes: Jumbo["kva_bytes"] = jumbo.kva_bytes;
/** From a virtual address to a physical one. {@link Jumbo.vtophys} */
export const vtophys: Jumbo["vtophys"] = jumbo.vtophys;
/** One hold more on a page. {@link Jumbo.vm_page_hold} */
export const vm_page_hold: Jumbo["vm_page_hold"] = jumbo.vm_page_hold;
/** One hold less on a page. {@link Jumbo.vm_page_unhold} */
export const vm_page_unhold: Jumbo["vm_page_unhold"] = jumbo.vm_page_unhold;
/** How many slots and pages are where. {@link Jumbo.jumbo_stats} */
export const jumbo_stats: Jumbo["jumbo_stats"] = jumbo.jumbo_stats;
/** Undoes `jumbo_vm_init`. {@link Jumbo.jumbo_vm_destroy} */
export const jumbo_vm_destroy: Jumbo["jumbo_vm_destroy"] = jumbo.jumbo_vm_destroy;

export { createJumbo } from "./jumbo.ts";
export type { Jumbo } from "./jumbo.ts";
export type { JumboOptions, JumboStats } from "./jumbo-vm.ts";
export { JUMBO_MAX_PAGES, jumbo_basekva } from "./kva-range.ts";
export type { caddr_t, vm_offset_t, vm_page_t } from "./vm-page.ts";
export type { StolenPage } from "../pool/stolen-page.ts";

import type { Page } from "../pool/page.ts";

/** Where a kernel address is a number: a virtual or a physical one. */
export type vm_offset_t = number;
/** A virtual address as the driver interface spells it. Still a number here: {@link Jumbo.kva_bytes} has the bytes. */
export type caddr_t = number;

/**
 * One allocation of a page, as jumbo(9) hands it out: valid until the page is freed, flipped away or stolen. vm/vm_page.h.
 *
 * The numbers stay readable afterwards, but no function takes it any more, also when the same page or the same
 * slot is handed out again.
 */
export type vm_page_t = {
  /** Page number × page size: the page's name in its pool, and never an address to find bytes at. */
  readonly phys_addr: vm_offset_t;
  /** The slot of the KVA range that maps the page: its kva is `jumbo_basekva + pindex × PAGE_SIZE`. */
  readonly pindex: number;
  /** Holds by `vm_page_hold` that were not dropped yet. 0 when just allocated: the allocation itself does not count. */
  readonly hold_count: number;
};

/** What stands behind every {@link vm_page_t}. Internal. */
export class VmPage implements vm_page_t {
  readonly phys_addr: vm_offset_t;
  readonly pindex: number;
  /** Whose `jumbo_pg_alloc` made it: tells a foreign page from one of ours that was freed. */
  readonly owner: object;
  readonly page: Page;
  /** It was freed while it was held: the last unhold frees it. */
  isFreePending = false;

  constructor(owner: object, page: Page, pageSizeBytes: number, slot: number) {
    this.owner = owner;
    this.page = page;
    this.phys_addr = page.number * pageSizeBytes;
    this.pindex = slot;
  }

  get hold_count(): number {
    return Math.max(0, this.page.holdCount - 1); // the pool counts the allocation as a hold, vm_page does not
  }
}

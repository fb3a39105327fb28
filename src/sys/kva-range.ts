import { JumboError } from "../errors.ts";

/** Pages of the KVA range: how many pages can be mapped at a time. The original's number, sys/jumbo.h. */
export const JUMBO_MAX_PAGES = 3072;

/**
 * The first address of the KVA range. Exported by the original too (kern/uipc_jumbo.c).
 *
 * Far above 4 GiB, where physical addresses end, so that neither kind of address passes for the other.
 */
export const jumbo_basekva = 0xf000_0000_0000;

/**
 * The allocator's addresses: which are handed out, and what a number says about them.
 *
 *     slot     0        1                3071
 *          ┌────────┬────────┬── ── ──┬────────┐
 *          │        │        │        │        │        kva = jumbo_basekva + slot × pageSizeBytes
 *          └────────┴────────┴── ── ──┴────────┘
 *          jumbo_basekva
 *
 *     free:  0, 1, 2, … 3070, 3071 ◀── top              LIFO: first the highest, then the last one put back
 *
 * Knows nothing of pages: that a slot put back was out is its caller's law. Thread: owner only.
 */
export class KvaRange {
  readonly pageSizeBytes: number;
  readonly #free: number[] = Array.from({ length: JUMBO_MAX_PAGES }, (_, slot) => slot);

  constructor(pageSizeBytes: number) {
    this.pageSizeBytes = pageSizeBytes;
  }

  /** How many slots are free. */
  get free(): number {
    return this.#free.length;
  }

  /** A free slot; undefined when all are out. O(1). */
  take(): number | undefined {
    return this.#free.pop();
  }

  /** Puts a slot back that {@link take} gave: it is the next to be taken. O(1). */
  put(slot: number): void {
    this.#free.push(slot);
  }

  /** The address at which `slot` begins. */
  kvaOf(slot: number): number {
    return jumbo_basekva + slot * this.pageSizeBytes;
  }

  /**
   * The slot that contains `kva`, and how far into it `kva` points.
   * @throws JumboError `ERR_JUMBO_ADDRESS_INVALID` when it is no address of this range
   */
  locate(kva: number): { slot: number; offset: number } {
    const distance = kva - jumbo_basekva;
    if (!Number.isSafeInteger(kva) || distance < 0 || distance >= JUMBO_MAX_PAGES * this.pageSizeBytes) {
      throw new JumboError("ERR_JUMBO_ADDRESS_INVALID", `${shown(kva)} is not an address of the KVA range`);
    }
    const offset = distance % this.pageSizeBytes;
    return { slot: (distance - offset) / this.pageSizeBytes, offset };
  }

  /**
   * The slot that begins at `kva`.
   * @throws JumboError `ERR_JUMBO_ADDRESS_INVALID` when none does
   */
  slotAt(kva: number): number {
    const { slot, offset } = this.locate(kva);
    if (offset === 0) return slot;
    throw new JumboError(
      "ERR_JUMBO_ADDRESS_INVALID",
      `${shown(kva)} is ${offset} bytes into a page; a page is freed by its first address`,
    );
  }
}

/** An address as people read it. Also takes what is no number at all, from callers without types. */
export function shown(address: unknown): string {
  return Number.isSafeInteger(address) ? `0x${Number(address).toString(16)}` : String(address);
}

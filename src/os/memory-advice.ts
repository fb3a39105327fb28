import { loadLibc } from "./libc.ts";

/** Gives whole ranges of memory back to the system. */
export type MemoryAdvice = {
  /** The unit of the system's own pages, in bytes: ranges must begin and end on it. */
  readonly systemPageBytes: number;
  /**
   * Gives the memory of `range` back; it reads as zero afterwards, and is committed again when touched.
   * False, with nothing changed, when the range is not whole system pages or the system refuses.
   *
   * `range` is passed by its address for the length of the call only, and the call is synchronous: the view on the
   * caller's stack keeps the memory alive.
   */
  readonly discard: (range: Uint8Array) => boolean;
};

export type MemoryAdviceOrReason =
  | { readonly advice: MemoryAdvice }
  | { readonly advice: null; readonly reason: string };

// From <unistd.h> and <asm-generic/mman-common.h>; the same on every architecture that `loadLibc` admits.
const SC_PAGESIZE = 30;
const MADV_DONTNEED = 4;

let found: MemoryAdviceOrReason | undefined;

/** `madvise(2)`, or why it cannot be had. */
export function loadMemoryAdvice(): MemoryAdviceOrReason {
  return (found ??= load());
}

/** Why it cannot be had; null when it can, or when nobody has tried yet. */
export function whyNoMemoryAdvice(): string | null {
  return found?.advice === null ? found.reason : null;
}

function load(): MemoryAdviceOrReason {
  const loaded = loadLibc();
  if (loaded.libc === null) return { advice: null, reason: loaded.reason };
  const madvise = loaded.libc.func("int madvise(void *address, size_t length, int advice)");
  const sysconf = loaded.libc.func("long sysconf(int name)");
  const systemPageBytes = Number(sysconf(SC_PAGESIZE));
  if (!(systemPageBytes > 0)) return { advice: null, reason: "sysconf does not tell the page size" };
  const discard = (range: Uint8Array): boolean => {
    // The kernel rounds a length UP to whole pages, and with it would take the neighbour's bytes.
    if (range.length === 0 || range.length % systemPageBytes !== 0) return false;
    return madvise(range, range.length, MADV_DONTNEED) === 0; // an unaligned address is refused by the kernel
  };
  return { advice: { systemPageBytes, discard } };
}

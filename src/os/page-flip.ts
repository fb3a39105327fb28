import { addressOf } from "./address-of.ts";
import { loadLibc } from "./libc.ts";
import { loadMemoryAdvice } from "./memory-advice.ts";
import { errorName } from "./system-error.ts";

/** Moves the memory behind a range of addresses to another, without a copy. */
export type PageFlip = {
  /** The unit of the system's own pages, in bytes: addresses and lengths are multiples of it. */
  readonly systemPageBytes: number;
  /**
   * The memory at `source` is at `target` afterwards, and what was there is gone; `source` reads as zero, and never stops being mapped. So no other
   * thread can be given the hole. 0, or −errno with nothing changed.
   *
   * Both ranges must be anonymous memory that lives on: pages of an arena, or a WebAssembly memory. Synchronous, but all threads
   * of the process that ran on another processor are interrupted for it.
   */
  readonly flip: (source: number, target: number, lengthBytes: number) => number;
};

export type PageFlipOrReason = { readonly pageFlip: PageFlip } | { readonly pageFlip: null; readonly reason: string };

// From <linux/mman.h>: MAYMOVE, FIXED, and DONTUNMAP, which Linux has since 5.7.
const FLAGS = 1 | 2 | 4;

/** What V8 takes for a WebAssembly memory: address space of its own, so that parts of it may be exchanged. */
declare const WebAssembly: {
  Memory: new (limits: { initial: number; maximum: number; shared: boolean }) => { readonly buffer: SharedArrayBuffer };
};

let found: PageFlipOrReason | undefined;

/** mremap(2), or why it cannot be had. */
export function loadPageFlip(): PageFlipOrReason {
  return (found ??= load());
}

function load(): PageFlipOrReason {
  const loaded = loadLibc();
  if (loaded.libc === null) return { pageFlip: null, reason: loaded.reason };
  const { advice } = loadMemoryAdvice();
  if (advice === null) return { pageFlip: null, reason: "the system's page size is not known" };
  const { func, errno } = loaded.libc;
  const mremap = func(
    "intptr_t mremap(uintptr_t source, size_t old_length, size_t new_length, int flags, uintptr_t target)",
  );
  const flip = (source: number, target: number, lengthBytes: number): number =>
    Number(mremap(source, lengthBytes, lengthBytes, FLAGS, target)) === -1 ? -errno() : 0;
  const { systemPageBytes } = advice;
  const reason = whyNot(flip, systemPageBytes);
  return reason === null ? { pageFlip: { systemPageBytes, flip } } : { pageFlip: null, reason };
}

/** Tries it once, on memory of its own. */
function whyNot(flip: PageFlip["flip"], systemPageBytes: number): string | null {
  const bytes = new Uint8Array(new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true }).buffer);
  bytes[0] = 7;
  const address = addressOf(bytes);
  const outcome = flip(address, address + 2 * systemPageBytes, systemPageBytes);
  if (outcome < 0) return `mremap with MREMAP_DONTUNMAP fails: ${errorName(outcome)}`;
  return bytes[0] === 0 && bytes[2 * systemPageBytes] === 7 ? null : "mremap does not move pages";
}

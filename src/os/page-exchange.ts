import { addressOf } from "./address-of.ts";
import { loadLibc } from "./libc.ts";
import { loadMemoryAdvice } from "./memory-advice.ts";
import { countMappings } from "./mappings.ts";
import { errorName } from "./system-error.ts";

/** Exchanges the memory behind two ranges of addresses, without a copy. */
export type PageExchange = {
  /** The unit of the system's own pages, in bytes: addresses and lengths are multiples of it. */
  readonly systemPageBytes: number;
  /**
   * What was at `source` is at `target` afterwards, and the other way round: no memory is freed, none is made. 0, or −errno with nothing changed.
   *
   * Both ranges must be private anonymous memory that lives on (pages of an arena, a WebAssembly memory), do not overlap, and are nobody
   * else's during the call: another thread that looks may see zeros. Neither is unmapped at any moment, so no other thread's `mmap`
   * can be given a hole. Synchronous, but all threads of the process that run on another processor are interrupted for it.
   */
  readonly exchange: (source: number, target: number, lengthBytes: number) => number;
};

export type PageExchangeOrReason =
  | { readonly pageExchange: PageExchange }
  | { readonly pageExchange: null; readonly reason: string };

/** The system calls that an exchange is made of; an argument of {@link makeExchange} so that a test can have them fail. */
export type RemapCalls = {
  /** mremap(2) of a range to one of the same length. The new address, or −errno. `target` 0: where the kernel likes. */
  readonly mremap: (source: number, lengthBytes: number, flags: number, target: number) => number;
  readonly copy: (target: number, source: number, lengthBytes: number) => void;
  readonly unmap: (address: number, lengthBytes: number) => void;
};

// From <linux/mman.h>. Linux has DONTUNMAP since 5.7.
const MAYMOVE = 1;
const FIXED = 2;
const DONTUNMAP = 4;
const [ENOMEM, EINVAL] = [-12, -22];

/** Mappings of the process beyond which none is cut any more: the system allows 65,530, and what needs one then may not get it. */
const MAPPINGS_MAX = 16_384;
/** Exchanges until the mappings are counted again. Each makes four more at most, where a range ends inside one. */
const EXCHANGES_PER_COUNT = 2048;

/** What V8 takes for a WebAssembly memory: address space of its own, so that parts of it may be exchanged. */
declare const WebAssembly: {
  Memory: new (limits: { initial: number; maximum: number; shared: boolean }) => { readonly buffer: SharedArrayBuffer };
};

let found: PageExchangeOrReason | undefined;

/** The exchange, or why it cannot be had. */
export function loadPageExchange(): PageExchangeOrReason {
  return (found ??= load());
}

/**
 * An exchange made of `calls`. The memory of both is moved aside first, and then to its place:
 *
 *     (1) source ──▶ x   (2) target ──▶ y      where the kernel likes; both stay mapped, and read as zero
 *     (3) x ──▶ target   (4) y ──▶ source      what is there is replaced in the same call; x, y are gone with it
 *
 * Why not three calls, with `target` moved to `source` in one? Before Linux 6.17 such a call fails if its range lies in more than one
 * mapping, and has unmapped the other range by then. These fail with nothing changed: (1) and (2) replace nothing, (3) and (4) move mappings that
 * nobody else knows. When there are too many mappings for them they are made up for with a copy.
 */
export function makeExchange({ mremap, copy, unmap }: RemapCalls): PageExchange["exchange"] {
  const putAt = (address: number, aside: number, lengthBytes: number): void => {
    if (mremap(aside, lengthBytes, MAYMOVE | FIXED, address) >= 0) return;
    copy(address, aside, lengthBytes);
    unmap(aside, lengthBytes);
  };
  return (source, target, lengthBytes) => {
    if (Math.abs(source - target) < lengthBytes) return EINVAL;
    const x = mremap(source, lengthBytes, MAYMOVE | DONTUNMAP, 0);
    if (x < 0) return x;
    const y = mremap(target, lengthBytes, MAYMOVE | DONTUNMAP, 0);
    putAt(y < 0 ? source : target, x, lengthBytes);
    if (y < 0) return y;
    putAt(source, y, lengthBytes);
    return 0;
  };
}

/** The same, refused while the process has many mappings, as `count` says. Exported for its test. */
export function limited(exchange: PageExchange["exchange"], count: () => number): PageExchange["exchange"] {
  let left = 0;
  let isCrowded = false;
  return (source, target, lengthBytes) => {
    if (left-- === 0) {
      isCrowded = count() > MAPPINGS_MAX;
      left = EXCHANGES_PER_COUNT - 1;
    }
    return isCrowded ? ENOMEM : exchange(source, target, lengthBytes);
  };
}

/** The real ones, or why there are none. Exported for the test of an exchange that fails. */
export function loadRemapCalls(): { readonly calls: RemapCalls } | { readonly calls: null; readonly reason: string } {
  const loaded = loadLibc();
  if (loaded.libc === null) return { calls: null, reason: loaded.reason };
  const { func, errno } = loaded.libc;
  const mremap = func(
    "intptr_t mremap(uintptr_t source, size_t old_length, size_t new_length, int flags, uintptr_t target)",
  );
  const memcpy = func("uintptr_t memcpy(uintptr_t target, uintptr_t source, size_t count)");
  const munmap = func("int munmap(uintptr_t address, size_t length)");
  const calls: RemapCalls = {
    mremap: (source, lengthBytes, flags, target) => {
      const address = Number(mremap(source, lengthBytes, lengthBytes, flags, target)); // user space ends at 2^47
      return address === -1 ? -errno() : address;
    },
    copy: (target, source, lengthBytes) => void memcpy(target, source, lengthBytes),
    unmap: (address, lengthBytes) => void munmap(address, lengthBytes),
  };
  return { calls };
}

function load(): PageExchangeOrReason {
  const loaded = loadRemapCalls();
  if (loaded.calls === null) return { pageExchange: null, reason: loaded.reason };
  const { advice } = loadMemoryAdvice();
  if (advice === null) return { pageExchange: null, reason: "the system's page size is not known" };
  if (countMappings() === null) return { pageExchange: null, reason: "/proc/self/maps cannot be read" };
  const { systemPageBytes } = advice;
  const exchange = makeExchange(loaded.calls);
  const reason = whyNot(exchange, systemPageBytes);
  if (reason !== null) return { pageExchange: null, reason };
  return { pageExchange: { systemPageBytes, exchange: limited(exchange, () => countMappings() ?? Infinity) } };
}

/** Tries it once, on memory of its own. */
function whyNot(exchange: PageExchange["exchange"], systemPageBytes: number): string | null {
  const bytes = new Uint8Array(new WebAssembly.Memory({ initial: 4, maximum: 4, shared: true }).buffer);
  const second = 2 * systemPageBytes;
  [bytes[0], bytes[second]] = [7, 9];
  const address = addressOf(bytes);
  const outcome = exchange(address, address + second, systemPageBytes);
  if (outcome < 0) return `mremap with MREMAP_DONTUNMAP fails: ${errorName(outcome)}`;
  return bytes[0] === 9 && bytes[second] === 7 ? null : "mremap does not move pages";
}

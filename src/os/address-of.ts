import { loadLibc } from "./libc.ts";

let ask: ((bytes: Uint8Array, same: Uint8Array, count: number) => number | bigint) | undefined;

/**
 * Where `bytes` begin in this process's address space. Only where `loadLibc()` gives a library.
 *
 * The number is worth something only as long as the memory stays: `bytes` must lie off V8's heap (a page, or an `ArrayBuffer` made by
 * its own constructor), and the caller must keep a reference to it for as long as the system may use the address.
 */
export function addressOf(bytes: Uint8Array): number {
  ask ??= declare();
  return Number(ask(bytes, bytes, 0)); // user space ends at 2^47, so a double holds it exactly
}

/** memcpy gives its first argument back, and copies nothing when the count is 0. */
function declare(): (bytes: Uint8Array, same: Uint8Array, count: number) => number | bigint {
  const { libc } = loadLibc();
  if (libc === null) throw new Error("there are no addresses without system calls");
  return libc.func("uintptr_t memcpy(void *target, const void *source, size_t count)");
}

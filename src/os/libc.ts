import { createRequire } from "node:module";
import type { KoffiFunc, LibraryHandle } from "koffi";

/** The C library of this process, through `koffi`. */
export type Libc = {
  /** Declares a C function by its prototype. */
  readonly func: LibraryHandle["func"];
  /** `errno` of the last call. */
  readonly errno: () => number;
};

/** Either the library, or why there is none: what `stats()` shows. */
export type LibcOrReason = { readonly libc: Libc } | { readonly libc: null; readonly reason: string };

export type { KoffiFunc };

let loaded: LibcOrReason | undefined;

/**
 * Loads `koffi` at the first call, not at import: who never needs a system call never pays for it.
 *
 * Only 64-bit Linux, where the structures and constants in this folder hold. `JUMBO_FFI=0` in the environment
 * switches it off, to run the portable paths on a machine that has it.
 */
export function loadLibc(): LibcOrReason {
  return (loaded ??= load());
}

function load(): LibcOrReason {
  if (process.env["JUMBO_FFI"] === "0") return { libc: null, reason: "switched off by JUMBO_FFI=0" };
  if (process.platform !== "linux")
    return { libc: null, reason: `system calls are for Linux, this is ${process.platform}` };
  if (process.arch !== "x64" && process.arch !== "arm64")
    return { libc: null, reason: `no structures for ${process.arch}` };
  try {
    // Optional and native: required at run time, so that without it everything else works.
    // The cast names what the package's own declarations say of its exports.
    const koffi = createRequire(import.meta.url)("koffi") as typeof import("koffi");
    const process_ = koffi.load(null);
    return { libc: { func: process_.func.bind(process_), errno: () => koffi.errno() } };
  } catch (cause) {
    return {
      libc: null,
      reason: `koffi does not load: ${cause instanceof Error ? cause.message.split("\n", 1)[0] : String(cause)}`,
    };
  }
}

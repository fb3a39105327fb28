import { closeSync, openSync } from "node:fs";
import { loadLibc } from "./libc.ts";
import { errorName } from "./system-error.ts";

/**
 * A pipe of the kernel's: what goes in at `input` comes out at `output`. Neither blocks; both are closed by `exec`, and with the thread that made
 * it when that is terminated.
 */
export type KernelPipe = { readonly output: number; readonly input: number };

/** The system calls that let the kernel move bytes which no process looks at. */
export type SpliceCalls = {
  /**
   * splice(2), not blocking: moves up to `lengthBytes` from one descriptor to another, one of which is a pipe. No copy where the
   * kernel can hand over the memory itself, as from and to a TCP socket.
   * How many bytes; 0 at the end of what can be read; −errno.
   */
  readonly splice: (from: number, to: number, lengthBytes: number) => number;
  /** A pipe with room for `sizeBytes`, or for what this user may have; −errno. Whoever asked closes it. */
  readonly makePipe: (sizeBytes: number) => KernelPipe | number;
  readonly closePipe: (pipe: KernelPipe) => void;
};

export type SpliceCallsOrReason = { readonly calls: SpliceCalls } | { readonly calls: null; readonly reason: string };

// From <fcntl.h>, <bits/fcntl-linux.h>, <asm-generic/errno-base.h>; the same on x86-64 and arm64.
const SPLICE_F_MOVE = 1;
const SPLICE_F_NONBLOCK = 2;
const O_NONBLOCK = 0o4000;
const O_CLOEXEC = 0o2000000;
const F_SETPIPE_SZ = 1031;
const EBADF = 9;
const EACCES = 13;
/** What every process can open. */
const ANY_FILE = "/";

let found: SpliceCallsOrReason | undefined;

/** The calls, or why there are none. */
export function loadSpliceCalls(): SpliceCallsOrReason {
  return (found ??= load());
}

function load(): SpliceCallsOrReason {
  const loaded = loadLibc();
  if (loaded.libc === null) return { calls: null, reason: loaded.reason };
  const { func, errno } = loaded.libc;
  const splice = func(
    "intptr_t splice(int from, uintptr_t from_at, int to, uintptr_t to_at, size_t length, unsigned int flags)",
  );
  const pipe2 = func("int pipe2(void *ends, int flags)");
  const dup3 = func("int dup3(int from, int to, int flags)");
  const fcntl = func("int fcntl(int fd, int command, ...)");
  const close = func("int close(int fd)");
  // Off V8's heap, and referenced by the closures below; the kernel uses it during each call only.
  const ints = new Int32Array(new ArrayBuffer(128), 0, 2);
  const calls: SpliceCalls = {
    splice: (from, to, lengthBytes) => {
      const moved = Number(splice(from, 0, to, 0, lengthBytes, SPLICE_F_MOVE | SPLICE_F_NONBLOCK));
      return moved < 0 ? -errno() : moved;
    },
    makePipe: (sizeBytes) => {
      const pipe = nodesOwn();
      if (typeof pipe === "number") return pipe;
      // From here to the last close() there is no call of a JavaScript function: V8 terminates a thread at those and in loops, not in between.
      const outcome = pipe2(ints, O_NONBLOCK | O_CLOEXEC) as number;
      if (outcome === 0) {
        dup3(ints[0], pipe.output, O_CLOEXEC);
        dup3(ints[1], pipe.input, O_CLOEXEC);
        close(ints[0]);
        close(ints[1]);
        fcntl(pipe.input, F_SETPIPE_SZ, "int", sizeBytes); // refused beyond what a user may have: then it keeps its usual size
        return pipe;
      }
      const error = -errno();
      closePipe(pipe);
      return error;
    },
    closePipe,
  };
  // A sandbox may forbid the call: then it says so, also when there is no such descriptor.
  const answer = calls.splice(-1, -1, 1);
  if (answer !== -EBADF) return { calls: null, reason: `splice is forbidden here: ${errorName(answer)}` };
  return { calls };
}

/**
 * Two descriptors that Node opens itself, to be replaced by what they are needed for: it closes those of a worker thread with the thread, which raw
 * ones outlive. −errno when there are none to be had.
 */
function nodesOwn(): KernelPipe | number {
  let output = -1;
  try {
    output = openSync(ANY_FILE, "r");
    return { output, input: openSync(ANY_FILE, "r") };
  } catch (error) {
    if (output >= 0) closeSync(output);
    return (error as NodeJS.ErrnoException).errno ?? -EACCES; // openSync throws nothing else; without errno where a policy forbids it
  }
}

function closePipe({ output, input }: KernelPipe): void {
  closeSync(output);
  closeSync(input);
}

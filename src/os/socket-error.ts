import { loadLibc } from "./libc.ts";

// From <asm-generic/socket.h>; the same on x86-64 and arm64.
const SOL_SOCKET = 1;
const SO_ERROR = 4;

let ask: ((fd: number) => number) | undefined;

/**
 * The error that waits on the socket `fd`, which is taken away, as −errno; 0 when there is none, when `fd` is no socket, and where there are no
 * system calls.
 */
export function takeSocketError(fd: number): number {
  return (ask ??= load())(fd);
}

function load(): (fd: number) => number {
  const { libc } = loadLibc();
  if (libc === null) return () => 0;
  const getsockopt = libc.func("int getsockopt(int fd, int level, int name, void *value, void *length)");
  // Off V8's heap, and referenced by the closure; the kernel uses them during each call only.
  const value = new Int32Array(new ArrayBuffer(128), 0, 1);
  const length = new Int32Array(new ArrayBuffer(128), 0, 1);
  return (fd) => {
    [value[0], length[0]] = [0, 4];
    return (getsockopt(fd, SOL_SOCKET, SO_ERROR, value, length) as number) === 0 ? -(value[0] ?? 0) : 0;
  };
}

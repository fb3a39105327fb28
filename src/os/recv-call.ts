import { loadLibc } from "./libc.ts";
import { errorName } from "./system-error.ts";

/** recv(2) into memory of the caller's. */
export type RecvCall = {
  /**
   * Receives what there is into `target`, as much as fits; does not wait. How many bytes; 0 at the end; −errno.
   *
   * Where `target` begins is looked up for this call and not kept; the call is synchronous, and the view on the caller's stack keeps the
   * memory alive. A view of a detached buffer has no length: nothing is written.
   */
  readonly recv: (fd: number, target: Uint8Array) => number;
};

export type RecvCallOrReason = { readonly call: RecvCall } | { readonly call: null; readonly reason: string };

// From <bits/socket.h>, <asm-generic/errno-base.h>; the same on x86-64 and arm64.
const MSG_DONTWAIT = 0x40;
const [EINTR, EBADF] = [-4, -9];

let found: RecvCallOrReason | undefined;

/** The call, or why it cannot be had. */
export function loadRecvCall(): RecvCallOrReason {
  return (found ??= load());
}

function load(): RecvCallOrReason {
  const loaded = loadLibc();
  if (loaded.libc === null) return { call: null, reason: loaded.reason };
  const { func, errno } = loaded.libc;
  const call = func("intptr_t recv(int fd, void *target, size_t length, int flags)");
  const recv = (fd: number, target: Uint8Array): number => {
    for (;;) {
      const count = Number(call(fd, target, target.length, MSG_DONTWAIT));
      const outcome = count < 0 ? -errno() : count;
      if (outcome !== EINTR) return outcome;
    }
  };
  // A sandbox may forbid the call: then it says so, also when there is no such descriptor.
  const answer = recv(-1, new Uint8Array(new ArrayBuffer(128)));
  return answer === EBADF ? { call: { recv } } : { call: null, reason: `recv is forbidden here: ${errorName(answer)}` };
}

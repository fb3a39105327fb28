import { loadLibc } from "./libc.ts";
import { errorName } from "./system-error.ts";

// From <sys/epoll.h>, <bits/fcntl-linux.h>; the same on x86-64 and arm64.
const EPOLL_CTL_ADD = 1;
const EPOLL_CTL_DEL = 2;
const EPOLLIN = 1;
const CLOEXEC = 0o2000000;

/** Watches other descriptors through one that somebody else has. No memory is shared with the kernel beyond each call. */
export type Bell = {
  /** Watches `fd`. 0 or −errno. */
  readonly add: (fd: number) => number;
  /** Watches it no more. */
  readonly remove: (fd: number) => void;
};

/**
 * Turns the descriptor `fd`, whatever it was, into an epoll set in its place: whoever has it has that now, and closes it in his time.
 *
 *     Node's event loop ──epoll──▶ fd (an epoll set) ──▶ what is added
 *
 * To who watches it, it is readable whenever what is added is, as long as that is (level-triggered); to read from it as from a socket is an error
 * (ENOTSOCK) that takes nothing away.
 *
 * @throws Error naming the call, when the system has no descriptor for us; then `fd` is what it was
 */
export function becomeBell(fd: number): Bell {
  const { libc } = loadLibc();
  if (libc === null) throw new Error("there is no epoll without system calls");
  const { errno } = libc;
  const calls = (declared ??= declare(libc.func));
  const set = calls.create(CLOEXEC);
  if (set < 0) throw new Error(`epoll_create1 fails: ${errorName(-errno())}`);
  // From the first call to the last no JavaScript function is called: V8 terminates a thread at those, and then the set would stay open.
  const outcome = calls.dup3(set, fd, CLOEXEC);
  const error = outcome < 0 ? -errno() : 0;
  calls.close(set);
  if (outcome < 0) throw new Error(`dup3 fails: ${errorName(error)}`);
  // struct epoll_event: u32 events, then u64 data, packed on x86-64 and aligned on arm64. Off V8's heap; used during each call only.
  const event = new Uint32Array(new ArrayBuffer(128));
  event[0] = EPOLLIN;
  return {
    add: (target) => (calls.control(fd, EPOLL_CTL_ADD, target, event) < 0 ? -errno() : 0),
    remove: (target) => void calls.control(fd, EPOLL_CTL_DEL, target, event),
  };
}

type Calls = {
  readonly create: (flags: number) => number;
  readonly control: (set: number, operation: number, fd: number, event: Uint32Array) => number;
  readonly dup3: (from: number, to: number, flags: number) => number;
  readonly close: (fd: number) => number;
};

let declared: Calls | undefined;

function declare(func: NonNullable<ReturnType<typeof loadLibc>["libc"]>["func"]): Calls {
  return {
    create: func("int epoll_create1(int flags)"),
    control: func("int epoll_ctl(int set, int operation, int fd, void *event)"),
    dup3: func("int dup3(int from, int to, int flags)"),
    close: func("int close(int fd)"),
  };
}

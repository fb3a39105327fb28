import { loadLibc } from "./libc.ts";
import { errorName } from "./udp-calls.ts";

/** Watches one descriptor through another: `bell` is readable while `fd` is. */
export type Watch = {
  /** Watches `fd`. 0 or −errno. */
  readonly add: (fd: number) => number;
  /** Watches it no more. */
  readonly remove: (fd: number) => void;
};

// From <sys/epoll.h>, <bits/fcntl-linux.h>, <bits/socket_type.h>; the same on x86-64 and arm64.
const EPOLL_CTL_ADD = 1;
const EPOLL_CTL_DEL = 2;
const EPOLLIN = 1;
const CLOEXEC = 0o2000000;
const NONBLOCK = 0o4000;
const AF_INET = 2;
const SOCK_DGRAM = 2;

/**
 * A descriptor that one of Node's own handles can watch for us: opened as a UDP socket, because that is what a handle will take, and then
 * turned into an epoll set in its place.
 *
 *     Node's event loop ──epoll──▶ bell (an epoll set) ──▶ fd
 *
 * To the event loop it is readable whenever `fd` is, as long as `fd` is (level-triggered); to read from it is an error (ENOTSOCK) that
 * takes nothing away. No memory is shared with the kernel beyond each call.
 */
export type Bell = Watch & {
  /** The descriptor, still a plain socket: give it to a handle, then call {@link become}. Whoever has it closes it. */
  readonly fd: number;
  /** Turns it into the epoll set. 0 or −errno: then it is what it was, and the set is gone. Once. */
  readonly become: () => number;
  /** Closes both: only when no handle has taken the descriptor. */
  readonly close: () => void;
};

/** @throws Error naming the call, when the system has no descriptor for us */
export function makeBell(): Bell {
  const { libc } = loadLibc();
  if (libc === null) throw new Error("there is no epoll without system calls");
  const calls = (declared ??= declare(libc.func));
  const check = (name: string, outcome: number): number => {
    if (outcome < 0) throw new Error(`${name} fails: ${errorName(-libc.errno())}`);
    return outcome;
  };
  const fd = check("socket", calls.socket(AF_INET, SOCK_DGRAM | CLOEXEC | NONBLOCK, 0));
  const set = calls.create(CLOEXEC);
  if (set < 0) {
    const error = -libc.errno();
    calls.close(fd);
    throw new Error(`epoll_create1 fails: ${errorName(error)}`);
  }
  // struct epoll_event: u32 events, then u64 data, packed on x86-64 and aligned on arm64. Off V8's heap; used during each call only.
  const event = new Uint32Array(new ArrayBuffer(128));
  event[0] = EPOLLIN;
  return {
    fd,
    become: () => {
      const outcome = calls.dup3(set, fd, CLOEXEC);
      const error = outcome < 0 ? -libc.errno() : 0;
      calls.close(set);
      return error;
    },
    add: (target) => (calls.control(fd, EPOLL_CTL_ADD, target, event) < 0 ? -libc.errno() : 0),
    remove: (target) => void calls.control(fd, EPOLL_CTL_DEL, target, event),
    close: () => {
      calls.close(set);
      calls.close(fd);
    },
  };
}

type Calls = {
  readonly socket: (family: number, type: number, protocol: number) => number;
  readonly create: (flags: number) => number;
  readonly control: (set: number, operation: number, fd: number, event: Uint32Array) => number;
  readonly dup3: (from: number, to: number, flags: number) => number;
  readonly close: (fd: number) => number;
};

let declared: Calls | undefined;

function declare(func: NonNullable<ReturnType<typeof loadLibc>["libc"]>["func"]): Calls {
  return {
    socket: func("int socket(int family, int type, int protocol)"),
    create: func("int epoll_create1(int flags)"),
    control: func("int epoll_ctl(int set, int operation, int fd, void *event)"),
    dup3: func("int dup3(int from, int to, int flags)"),
    close: func("int close(int fd)"),
  };
}

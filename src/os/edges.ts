import { loadLibc } from "./libc.ts";
import type { Libc } from "./libc.ts";

/** What has become of a descriptor, as bits: `EPOLLIN` and so on. */
export const READABLE = 0x001;
export const WRITABLE = 0x004;
export const FAILED = 0x008;
export const HUNG_UP = 0x010;

/**
 * Watches any number of descriptors through one epoll set, for what they have become since they were last looked at (edge-triggered).
 *
 *     fd, token ──add──▶ [ epoll set ] ──take──▶ (token, READABLE | WRITABLE | …) …
 *
 * A descriptor that is closed leaves the set by itself, unless another process has it too. Thread: any, one at a time.
 */
export type Edges = {
  /** Watches `fd` for everything, from now on; `token`, a whole number below 2^32, names it in what {@link take} tells. 0 or −errno. */
  readonly add: (fd: number, token: number) => number;
  /** Watches it no more. Nothing when it is not watched. */
  readonly remove: (fd: number) => void;
  /** Calls `each` for the descriptors that have become something, at most 64 of them; does not wait. How many, or −errno. */
  readonly take: (each: (token: number, became: number) => void) => number;
};

// From <sys/epoll.h>; the same on x86-64 and arm64, but for the structure, which is packed on x86-64 only.
const EPOLL_CTL_ADD = 1;
const EPOLL_CTL_DEL = 2;
const EPOLLRDHUP = 0x2000;
const EPOLLET = 0x8000_0000;
const EVENTS_MAX = 64;
const EVENT_WORDS = process.arch === "x64" ? 3 : 4;
const TOKEN_WORD = process.arch === "x64" ? 1 : 2;

/** @throws Error when there are no system calls */
export function makeEdges(set: number): Edges {
  const { libc } = loadLibc();
  if (libc === null) throw new Error("there is no epoll without system calls");
  const calls = (declared ??= declare(libc.func));
  // Off V8's heap, referenced by the closures below; the kernel uses it during each call only.
  const events = new Uint32Array(new ArrayBuffer(EVENTS_MAX * EVENT_WORDS * 4));
  const result = (value: number): number => (value < 0 ? -libc.errno() : value);
  return {
    add: (fd, token) => {
      events[0] = (EPOLLET | EPOLLRDHUP | READABLE | WRITABLE) >>> 0;
      events[TOKEN_WORD] = token;
      return result(calls.control(set, EPOLL_CTL_ADD, fd, events));
    },
    remove: (fd) => void calls.control(set, EPOLL_CTL_DEL, fd, events),
    take: (each) => {
      const count = result(calls.wait(set, events, EVENTS_MAX, 0));
      // Read before anybody is called: add() writes to the same memory.
      const taken = count > 0 ? Array.from(events.subarray(0, count * EVENT_WORDS)) : [];
      for (let at = 0; at < taken.length; at += EVENT_WORDS) each(taken[at + TOKEN_WORD] ?? 0, taken[at] ?? 0);
      return count;
    },
  };
}

type Calls = {
  readonly control: (set: number, operation: number, fd: number, event: Uint32Array) => number;
  readonly wait: (set: number, events: Uint32Array, count: number, milliseconds: number) => number;
};

let declared: Calls | undefined;

function declare(func: Libc["func"]): Calls {
  return {
    control: func("int epoll_ctl(int set, int operation, int fd, void *event)"),
    wait: func("int epoll_wait(int set, void *events, int count, int milliseconds)"),
  };
}

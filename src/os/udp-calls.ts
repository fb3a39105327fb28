import { addressOf } from "./address-of.ts";
import { loadLibc } from "./libc.ts";
import { errorName } from "./system-error.ts";

/** The system calls that receive and send many datagrams at a time. Addresses are numbers: see `address-of.ts`. */
export type UdpCalls = {
  /**
   * recvmmsg(2), not blocking. How many messages came; −errno when none.
   *
   * The kernel writes to the vector and to everything it points to, during the call only: it is synchronous, so whoever
   * holds the vector and its pages across the call keeps them alive.
   */
  readonly receive: (fd: number, vectorAddress: number, count: number) => number;
  /** sendmmsg(2), not blocking. How many messages went; −errno when the first one did not. */
  readonly send: (fd: number, vectorAddress: number, count: number) => number;
  /** True when a datagram could be sent at once. */
  readonly isWritable: (fd: number) => boolean;
  /** Blocks this thread for so many microseconds, and the system's slack (some 50) on top. */
  readonly sleep: (microseconds: number) => void;
  /** setsockopt(2) with an int. 0 or −errno. */
  readonly setOption: (fd: number, level: number, name: number, value: number) => number;
  /** setsockopt(2) with a structure. 0 or −errno. */
  readonly setOptionBytes: (fd: number, level: number, name: number, value: Uint8Array) => number;
  /** getsockopt(2) into `value`, as much as there is room. How many bytes, or −errno. */
  readonly getOption: (fd: number, level: number, name: number, value: Uint8Array) => number;
};

export type UdpCallsOrReason = { readonly calls: UdpCalls } | { readonly calls: null; readonly reason: string };

// From <asm-generic/socket.h>, <netinet/in.h>, <netinet/udp.h>, <linux/in6.h>; the same on x86-64 and arm64.
export const SOL_SOCKET = 1;
export const SO_ATTACH_FILTER = 26;
export const SO_DETACH_FILTER = 27;
export const SO_MEMINFO = 55;
export const IPPROTO_IP = 0;
export const IP_PKTINFO = 8;
export const IP_RECVTOS = 13;
export const IPPROTO_UDP = 17;
export const UDP_SEGMENT = 103;
export const UDP_GRO = 104;
export const IPPROTO_IPV6 = 41;
export const IPV6_RECVPKTINFO = 49;
export const IPV6_RECVTCLASS = 66;
const POLLOUT = 4;
const MSG_TRUNC = 0x20;
const MSG_DONTWAIT = 0x40;

let found: UdpCallsOrReason | undefined;

/** The calls, or why there are none. */
export function loadUdpCalls(): UdpCallsOrReason {
  return (found ??= load());
}

function load(): UdpCallsOrReason {
  const loaded = loadLibc();
  if (loaded.libc === null) return { calls: null, reason: loaded.reason };
  const { func, errno } = loaded.libc;
  const recvmmsg = func("int recvmmsg(int fd, uintptr_t vector, unsigned int count, int flags, uintptr_t timeout)");
  const sendmmsg = func("int sendmmsg(int fd, uintptr_t vector, unsigned int count, int flags)");
  const setsockopt = func("int setsockopt(int fd, int level, int name, const void *value, unsigned int length)");
  const getsockopt = func("int getsockopt(int fd, int level, int name, void *value, void *length)");
  const poll = func("int poll(void *descriptors, unsigned long count, int timeout)");
  const usleep = func("int usleep(unsigned int microseconds)");
  // Off V8's heap, and referenced by the closures below for as long as they are.
  const int = new Int32Array(new ArrayBuffer(128), 0, 2);
  const result = (value: number): number => (value < 0 ? -errno() : value);
  const calls: UdpCalls = {
    receive: (fd, vector, count) => result(recvmmsg(fd, vector, count, MSG_DONTWAIT | MSG_TRUNC, 0) as number),
    send: (fd, vector, count) => result(sendmmsg(fd, vector, count, MSG_DONTWAIT) as number),
    isWritable: (fd) => {
      int[0] = fd; // struct pollfd: int fd, short events, short revents
      int[1] = POLLOUT;
      return (poll(int, 1, 0) as number) === 1 && (int[1] ?? 0) >> 16 !== 0;
    },
    sleep: (microseconds) => void usleep(microseconds),
    setOption: (fd, level, name, value) => {
      int[0] = value;
      return result(setsockopt(fd, level, name, int, 4) as number);
    },
    setOptionBytes: (fd, level, name, value) => result(setsockopt(fd, level, name, value, value.length) as number),
    getOption: (fd, level, name, value) => {
      int[0] = value.length;
      const outcome = result(getsockopt(fd, level, name, value, int) as number);
      return outcome < 0 ? outcome : (int[0] ?? 0);
    },
  };
  const forbidden = whyForbidden(calls);
  return forbidden === null ? { calls } : { calls: null, reason: forbidden };
}

/** A sandbox may forbid the call: then it says so, or kills us, also when there is no such descriptor. */
function whyForbidden({ receive, send }: UdpCalls): string | null {
  const row = new Uint8Array(new ArrayBuffer(128)); // of zeros: musl looks at it before it asks the kernel
  const at = addressOf(row);
  for (const [name, outcome] of [
    ["recvmmsg", receive(-1, at, 1)],
    ["sendmmsg", send(-1, at, 1)],
  ] as const) {
    if (outcome !== -EBADF) return `${name} is forbidden here: ${errorName(outcome)}`;
  }
  return null;
}

const EBADF = 9;

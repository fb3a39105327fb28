/**
 * What sandboxes and limits do to a process, done to this one: system calls that are refused (seccomp(2), as containers do it), and a limit of
 * descriptors. For processes of a test's own, since neither can be taken back.
 */
import assert from "node:assert/strict";
import { closeSync, openSync, readdirSync } from "node:fs";
import { addressOf } from "../../src/os/address-of.ts";
import { loadLibc } from "../../src/os/libc.ts";

type CallName = "recvmmsg" | "sendmmsg" | "setsockopt";

const NUMBERS: Partial<Record<NodeJS.Architecture, Record<CallName, number>>> = {
  x64: { recvmmsg: 299, sendmmsg: 307, setsockopt: 54 },
  arm64: { recvmmsg: 243, sendmmsg: 269, setsockopt: 208 },
};

export type Refusal = {
  readonly call: CallName;
  /** Of setsockopt: only with this level and name. */
  readonly option?: readonly [level: number, name: number];
  readonly errno: number;
};

// From <linux/filter.h>, <linux/seccomp.h>, <sys/prctl.h>, <sys/resource.h>.
const LOAD_WORD = 0x20;
const JUMP_IF_EQUAL = 0x15;
const RETURN = 0x06;
const ALLOW = 0x7fff0000;
const REFUSE = 0x00050000;
const CALL_NUMBER = 0;
const ARGUMENT = (index: number): number => 16 + index * 8;
const PR_SET_SECCOMP = 22;
const PR_SET_NO_NEW_PRIVS = 38;
const SECCOMP_MODE_FILTER = 2;
const RLIMIT_NOFILE = 7;

function libc(): NonNullable<ReturnType<typeof loadLibc>["libc"]> {
  const loaded = loadLibc();
  assert(loaded.libc !== null, "only where there are system calls");
  return loaded.libc;
}

/** Has the kernel refuse a call of this thread from now on. */
export function refuse(refusal: Refusal): void {
  const program = filterOf(refusal);
  const prctl = libc().func("int prctl(int option, unsigned long a, uintptr_t b, unsigned long c, unsigned long d)");
  assert.equal(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0, "PR_SET_NO_NEW_PRIVS");
  const header = new BigUint64Array(new ArrayBuffer(4096), 0, 2); // struct sock_fprog
  header[0] = BigInt(program.length / 8);
  header[1] = BigInt(addressOf(program));
  assert.equal(
    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, addressOf(new Uint8Array(header.buffer)), 0, 0),
    0,
    "seccomp",
  );
}

/** Each instruction is a struct sock_filter: what to do, how many to skip if it is so and if it is not, and a constant. */
function filterOf({ call, option, errno }: Refusal): Uint8Array {
  const number = NUMBERS[process.arch]?.[call];
  assert(number !== undefined, `no system call numbers for ${process.arch}`);
  const tests: [offset: number, value: number][] = [[CALL_NUMBER, number]];
  if (option !== undefined) tests.push([ARGUMENT(1), option[0]], [ARGUMENT(2), option[1]]);
  const steps = tests.flatMap(([offset, value], index) => [
    [LOAD_WORD, 0, 0, offset],
    [JUMP_IF_EQUAL, 0, (tests.length - index - 1) * 2 + 1, value], // else to ALLOW
  ]);
  steps.push([RETURN, 0, 0, REFUSE | errno], [RETURN, 0, 0, ALLOW]);
  const bytes = Buffer.from(new ArrayBuffer(4096), 0, steps.length * 8); // off V8's heap
  for (const [index, [code = 0, ifTrue = 0, ifFalse = 0, value = 0]] of steps.entries()) {
    bytes.writeUInt16LE(code, index * 8);
    bytes[index * 8 + 2] = ifTrue;
    bytes[index * 8 + 3] = ifFalse;
    bytes.writeUInt32LE(value, index * 8 + 4);
  }
  return bytes;
}

/** Leaves this process so many descriptors, as long as it closes none. Again: so many from then on. */
export function leaveDescriptors(count: number): void {
  const getrlimit = libc().func("int getrlimit(int resource, void *limit)");
  const setrlimit = libc().func("int setrlimit(int resource, const void *limit)");
  const limit = new BigUint64Array(new ArrayBuffer(4096), 0, 2); // struct rlimit: what holds, and what may be asked for
  assert.equal(getrlimit(RLIMIT_NOFILE, limit), 0, "getrlimit");
  limit[0] = limit[1] ?? 0n;
  assert.equal(setrlimit(RLIMIT_NOFILE, limit), 0, "setrlimit");
  const highest = Math.max(...readdirSync("/proc/self/fd").map(Number));
  let next = -1; // once every gap below is filled
  while (next < highest) next = openSync("/dev/null", "r");
  closeSync(next);
  limit[0] = BigInt(next + count);
  assert.equal(setrlimit(RLIMIT_NOFILE, limit), 0, "setrlimit");
}

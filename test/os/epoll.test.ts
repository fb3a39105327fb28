/**
 * Shows: a bell is readable exactly while what it watches is; reading from it fails and takes nothing away; it says what the system
 * refuses; and neither a bell that is closed nor one that could not be made leaves a descriptor behind.
 */
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import type { Socket } from "node:dgram";
import { once } from "node:events";
import { closeSync, openSync, readdirSync, readlinkSync } from "node:fs";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { becomeBell } from "../../src/os/epoll.ts";
import type { Bell } from "../../src/os/epoll.ts";
import { loadLibc } from "../../src/os/libc.ts";
import { until } from "../support/at-rest.ts";
import { said } from "../support/udp-child.ts";
import { fdOf, noCalls, queuedBytes, udpCalls } from "../support/udp.ts";

const skip = noCalls;
const [EBADF, EEXIST, ENOTSOCK, EAGAIN] = [9, 17, 88, 11];

/** A bell in the place of a descriptor of ours, closed after the test. */
function madeBell(t: TestContext): Bell & { readonly fd: number } {
  const fd = openSync("/dev/null", "r");
  t.after(() => closeSync(fd));
  return { ...becomeBell(fd), fd };
}

async function boundSocket(t: TestContext): Promise<Socket> {
  const socket = createSocket("udp4");
  t.after(() => socket.close());
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  // Node reads no more: what comes stays in the kernel.
  for (const symbol of Object.getOwnPropertySymbols(socket))
    if (symbol.description === "state symbol") stopReading(Reflect.get(socket, symbol));
  return socket;
}

function stopReading(state: unknown): void {
  const { handle } = state as { handle: { recvStop: () => void } }; // private, and the same on Node 20 to 26
  handle.recvStop();
}

/** poll(2), not blocking: whether `fd` is readable now. */
function isReadable(fd: number): boolean {
  const { libc } = loadLibc();
  assert(libc !== null);
  const poll = libc.func("int poll(void *fds, unsigned long count, int timeout)");
  const pollfd = new DataView(new ArrayBuffer(4096));
  pollfd.setInt32(0, fd, true);
  pollfd.setInt16(4, 1, true); // POLLIN
  const count: unknown = poll(new Uint8Array(pollfd.buffer), 1, 0);
  return count === 1 && (pollfd.getInt16(6, true) & 1) === 1;
}

const descriptors = (): number => readdirSync("/proc/self/fd").length;

test("whatever it was, then an epoll set at the same number", { skip }, () => {
  const before = descriptors();
  const fd = openSync("/dev/null", "r");
  becomeBell(fd);
  assert.match(readlinkSync(`/proc/self/fd/${fd}`), /eventpoll/);
  assert.equal(descriptors(), before + 1);
  closeSync(fd);
  assert.equal(descriptors(), before);
});

test("it is readable while what it watches is, and not when it watches nothing", { skip }, async (t) => {
  const bell = madeBell(t);
  const socket = await boundSocket(t);
  const sender = createSocket("udp4");
  t.after(() => sender.close());
  assert.equal(bell.add(fdOf(socket)), 0);
  assert.ok(!isReadable(bell.fd), "nothing has come");
  const { port } = socket.address();
  sender.send("text", port, "127.0.0.1");
  await until(() => isReadable(bell.fd), "it has come");
  assert.ok(isReadable(bell.fd), "it is there as long as nobody takes it");
  bell.remove(fdOf(socket));
  assert.ok(!isReadable(bell.fd), "not watched any more");
  assert.equal(bell.add(fdOf(socket)), 0);
  assert.ok(isReadable(bell.fd), "what had come before it was watched is seen");
  closeSync(duplicateOf(fdOf(socket))); // another descriptor of the same socket: closing it changes nothing
  assert.ok(isReadable(bell.fd));
  assert.ok(queuedBytes(port) > 0);
});

function duplicateOf(fd: number): number {
  const dup: unknown = loadLibc().libc?.func("int dup(int fd)")(fd);
  assert(typeof dup === "number" && dup >= 0);
  return dup;
}

test("to read from it is an error that is no end of anything", { skip }, (t) => {
  const bell = madeBell(t);
  const read = (): number => udpCalls().receive(bell.fd, 0, 0);
  assert.equal(read(), -ENOTSOCK);
  assert.equal(read(), -ENOTSOCK);
});

test("what the system refuses is answered with its number", { skip }, async (t) => {
  const bell = madeBell(t);
  const socket = await boundSocket(t);
  assert.equal(bell.add(-1), -EBADF);
  assert.equal(bell.add(fdOf(socket)), 0);
  assert.equal(bell.add(fdOf(socket)), -EEXIST);
  bell.remove(-1);
  bell.remove(fdOf(socket));
  bell.remove(fdOf(socket)); // to remove what is not there is nothing
  assert.equal(bell.add(fdOf(socket)), 0);
});

test("a set that watches a closed socket is empty", { skip }, async (t) => {
  const bell = madeBell(t);
  const socket = createSocket("udp4");
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  assert.equal(bell.add(fdOf(socket)), 0);
  socket.close();
  await once(socket, "close");
  assert.ok(!isReadable(bell.fd));
});

test("without descriptors it says which call failed, and leaves nothing open", { skip }, async () => {
  const script = `
    const { openSync } = await import("node:fs");
    const { becomeBell } = await load("src/os/epoll.js");
    const { leaveDescriptors } = await load("test/support/udp-sandbox.js");
    const fd = openSync("/dev/null", "r");
    becomeBell(fd);
    for (const count of [1, 0]) {
      leaveDescriptors(count);
      try { becomeBell(fd); say("made"); } catch (error) { say(error.message); }
    }`;
  assert.deepEqual(await said(script), ["made", "epoll_create1 fails: EMFILE"]);
});

test("errno and lengths of options are told as they are", { skip }, async (t) => {
  const socket = await boundSocket(t);
  const { getOption, setOption, receive, send } = udpCalls();
  const value = new Uint8Array(new ArrayBuffer(4096), 0, 8);
  const [SOL_SOCKET, SO_TYPE, SO_MEMINFO, SOCK_DGRAM] = [1, 3, 55, 2];
  assert.equal(getOption(fdOf(socket), SOL_SOCKET, SO_TYPE, value), 4);
  assert.equal(new Int32Array(value.buffer)[0], SOCK_DGRAM);
  assert.equal(getOption(fdOf(socket), SOL_SOCKET, SO_MEMINFO, value), 8, "no more than there is room");
  assert.equal(getOption(-1, SOL_SOCKET, SO_TYPE, value), -EBADF);
  assert.equal(setOption(-1, 17, 104, 1), -EBADF);
  assert.equal(setOption(fdOf(socket), 17, 9999, 1), -92, "ENOPROTOOPT");
  assert.equal(receive(fdOf(socket), 0, 0), 0, "no rows, no messages");
  assert.ok([0, -EAGAIN].includes(send(fdOf(socket), 0, 0)));
});

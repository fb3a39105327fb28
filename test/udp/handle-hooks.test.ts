/** Shows: what we are told of a handle, and when: before it does what it always did, with the same arguments and the same answers. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { followHandle } from "../../src/udp/handle-hooks.ts";
import type { UdpHandle } from "../../src/udp/node-internals.ts";

const METHODS = [
  "recvStart",
  "recvStop",
  "ref",
  "unref",
  "hasRef",
  "close",
  "connect",
  "connect6",
  "send",
  "send6",
] as const;

/** A handle that writes down what it is asked to do, and answers with how long that list is. */
function makeHandle(): { readonly handle: UdpHandle; readonly log: unknown[] } {
  const log: unknown[] = [];
  const methods = METHODS.map((name) => [name, (...values: unknown[]) => log.push([name, ...values])] as const);
  // A stand-in with the methods that are hooked; the others are not called.
  const handle = { fd: 5, onmessage: () => {}, ...Object.fromEntries(methods) } as unknown as UdpHandle;
  return { handle, log };
}

test("ref, unref and close are told first, then done", () => {
  const { handle, log } = makeHandle();
  followHandle(handle, { setRef: (isRef) => log.push(isRef), beforeClose: () => log.push("closing") });
  const callback = (): void => {};
  handle.ref();
  handle.unref();
  handle.close(callback);
  assert.deepEqual(log, [true, ["ref"], false, ["unref"], "closing", ["close", callback]]);
});

test("both ways to connect", () => {
  const { handle, log } = makeHandle();
  followHandle(handle, { beforeConnect: () => log.push("connecting") });
  assert.equal(handle.connect("127.0.0.1", 9), 2, "its own answer");
  assert.equal(handle.connect6("::1", 9), 4);
  assert.deepEqual(log, ["connecting", ["connect", "127.0.0.1", 9], "connecting", ["connect6", "::1", 9]]);
});

test("a send that must not wait is not made, and fails as if there were no room", () => {
  const { handle, log } = makeHandle();
  let maySend = true;
  followHandle(handle, { maySend: () => maySend });
  assert.equal(handle.send({}, [1], 1), 1);
  maySend = false;
  assert.equal(handle.send({}, [2], 1), -11, "EAGAIN");
  assert.equal(handle.send6({}, [3], 1), -11);
  maySend = true;
  assert.equal(handle.send6({}, [4], 1), 2);
  assert.deepEqual(log, [
    ["send", {}, [1], 1],
    ["send6", {}, [4], 1],
  ]);
});

test("what nobody asked for is left alone; two that follow are both told", () => {
  const { handle, log } = makeHandle();
  const before = METHODS.map((name) => handle[name]);
  followHandle(handle, {});
  assert.deepEqual(
    METHODS.map((name) => handle[name]),
    before,
  );
  followHandle(handle, { beforeClose: () => log.push("first") });
  followHandle(handle, { beforeClose: () => log.push("second") });
  handle.close();
  assert.deepEqual(log, ["second", "first", ["close"]]);
});

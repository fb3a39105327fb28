/**
 * Shows: the probe finds what it needs on this Node, and says why when it does not; and a Node that is another one is left to the portable engine.
 */
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { test } from "node:test";
import { findHandles, findRunTicks, handleOf, makeHandle, whyNoHandles } from "../../src/udp/node-internals.ts";

/** Why the handles of such sockets cannot be used; null when they can. */
function findReason(...args: Parameters<typeof findHandles>): string | null {
  const found = findHandles(...args);
  return found.Handle === null ? found.reason : null;
}

test("the probe succeeds on this Node", () => {
  assert.equal(whyNoHandles(), null);
  assert.equal(findReason(), null);
  assert.ok(findRunTicks() !== null);
  const handle = makeHandle();
  assert.ok(handle.fd < 0, "one of its own, which has no descriptor yet");
  handle.close();
});

test("a Node that this release was not tested with", () => {
  for (const version of ["18.20.0", "27.0.0", "100.1.2", "nonsense"])
    assert.match(findReason(undefined, version) ?? "", new RegExp(`Node ${version} have not been tested`));
  for (const version of ["20.19.0", "26.99.0"]) assert.equal(findReason(undefined, version), null);
});

test("sockets that keep their state in another way, or have another handle", () => {
  assert.match(findReason(() => ({})) ?? "", /keeps its state in another way/);
  assert.match(findReason(() => ({ [Symbol("state symbol")]: 5 })) ?? "", /in another way/);
  assert.match(findReason(() => ({ [Symbol("state symbol")]: {} })) ?? "", /in another way/);
  const names = [
    "bind",
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
  ];
  const handle = { fd: 5, ...Object.fromEntries(names.map((name) => [name, () => 0])) };
  const probe = (other: object): object => ({ [Symbol("state symbol")]: { handle: { ...handle, ...other } } });
  assert.equal(
    findReason(() => probe({})),
    null,
  );
  for (const name of Object.keys(handle))
    assert.match(findReason(() => probe({ [name]: "other" })) ?? "", /is another one/, name);
  assert.match(findReason(() => ({ [Symbol("state symbol")]: { handle: null } })) ?? "", /is another one/);
});

test("the handle of a socket: its descriptor once it is bound; none once it is closed", async () => {
  const socket = createSocket("udp4");
  assert.ok((handleOf(socket)?.fd ?? 0) < 0);
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  assert.ok((handleOf(socket)?.fd ?? -1) > 0);
  socket.close();
  await once(socket, "close");
  assert.equal(handleOf(socket), null);
});

/**
 * Shows: the probe finds what it needs on this Node, and says why when it does not; and should a Node ever read past the armed
 * buffer, that is noticed at the socket's end, and the engine is not used any more.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { test } from "node:test";
import { receive } from "../../src/tcp/index.ts";
import { findOnreadKeys, handleOf, onreadKeys } from "../../src/tcp/node-internals.ts";
import { poolFor } from "../support/at-rest.ts";
import { isPattern, pattern } from "../support/pattern.ts";
import { listen, socketPair } from "../support/sockets.ts";

test("the probe succeeds on this Node", () => {
  assert.ok(onreadKeys().keys !== null, JSON.stringify(onreadKeys()));
});

test("a Node that this release was not tested with is left to the portable engine", () => {
  for (const version of ["18.20.0", "27.0.0", "28.1.2", "nonsense"]) {
    const found = findOnreadKeys(undefined, version);
    assert.ok(found.keys === null && found.reason.includes(version), version);
  }
});

test("a Node without the symbols, or with other contents under them, is told apart", () => {
  const none = findOnreadKeys(() => new net.Socket());
  assert.ok(
    (none.keys === null && /no kBuffer/.test(none.reason)) ||
      (none.keys === null && /in another way/.test(none.reason)),
  );
  const empty = findOnreadKeys(() => ({}));
  assert.ok(empty.keys === null && /no kBuffer, kBufferCb, kBufferGen/.test(empty.reason));
  const wrapped = findOnreadKeys(
    (buffer, callback) => new net.Socket({ onread: { buffer: () => buffer(), callback: () => callback() } } as object),
  );
  assert.ok(wrapped.keys === null && /in another way/.test(wrapped.reason));
});

test("a handle that cannot read into a buffer of ours is told apart, and the socket falls back with the reason", async (t) => {
  const pool = poolFor(t);
  let offset = 0;
  const { near, far } = await socketPair(t, (socket) => {
    const handle: object = Reflect.get(socket, "_handle") as object; // a private field, only touched in this test
    Object.defineProperty(handle, "useUserBuffer", { value: undefined });
    assert.equal(handleOf(socket), null);
    const receiver = receive(socket, { pool }, (m) => {
      assert.ok(isPattern(m.bytes, offset));
      offset += m.length;
    });
    assert.equal(receiver.stats().engine, "data");
    assert.match(receiver.stats().engineReason ?? "", /handle cannot read/);
  });
  far.end(pattern(0, 200_000));
  await once(near, "end");
  assert.equal(offset, 200_000);
});

test("a socket with an onread option of its own is refused", async (t) => {
  const pool = poolFor(t);
  const port = await listen(t, (socket) => void socket.end());
  const options: object = { port, host: "127.0.0.1", onread: { buffer: Buffer.alloc(10), callback: () => true } };
  const socket = net.connect(options as net.TcpNetConnectOpts);
  t.after(() => socket.destroy());
  assert.throws(() => receive(socket, { pool }), { code: "ERR_JUMBO_SOCKET_INVALID" });
});

// Last in this file: it switches the engine off for the process.
test("bytes that Node reads past the armed buffer are noticed at the end, and the engine is given up", async (t) => {
  const pool = poolFor(t);
  const { keys } = onreadKeys();
  assert.ok(keys !== null);
  const { near, far } = await socketPair(t, (socket) => {
    receive(socket, { pool }, () => assert.fail("this Node does not heed the symbols"));
    Reflect.set(socket, keys.buffer, null); // so it seems to
  });
  near.on("end", () => {});
  far.end(pattern(0, 1000));
  const [error] = (await once(near, "error")) as [Error];
  assert.match(error.message, /read 1000 bytes past the armed buffer/);
  const next = await socketPair(t, (socket) => {
    assert.match(receive(socket, { pool }, () => {}).stats().engineReason ?? "", /past the armed buffer/);
  });
  next.far.destroy();
});

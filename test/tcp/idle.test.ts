/**
 * Shows: sockets that are quiet pin no pages: 10,000 idle connections pin none, sockets that were busy give theirs back, and a
 * client that fills the strip to the byte on many connections cannot pin the pool.
 */
import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";
import { receive } from "../../src/tcp/index.ts";
import { poolFor, until } from "../support/at-rest.ts";
import { pattern } from "../support/pattern.ts";
import { connect, listen, write } from "../support/sockets.ts";
import { openFilesMax } from "./idle-clients.ts";

const CONNECTIONS = 10_000;

const limit = openFilesMax();
const skip =
  limit < CONNECTIONS + 500 ? `this machine allows ${limit} open files, ${CONNECTIONS + 500} are needed` : false;

test(
  `${CONNECTIONS} idle connections pin at most 64 pages, also after each has received something`,
  { skip, timeout: 100_000 },
  async (t) => {
    const pool = poolFor(t, { pagesMax: 512, audit: false });
    let bytes = 0;
    let connected = 0;
    let closed = 0;
    const port = await listen(t, (socket) => {
      connected++;
      receive(socket, { pool, engine: "onread" }, (m) => void (bytes += m.length));
      socket.on("close", () => closed++);
    });
    const clients = fork(new URL("./idle-clients.js", import.meta.url), [String(port), String(CONNECTIONS)]);
    t.after(() => clients.kill());
    await until(
      () => connected === CONNECTIONS,
      () => `${connected} connected`,
      60_000,
    );
    assert.equal(pool.stats().inUse, 0, "nothing is pinned by sockets that never heard anything");

    // The worst a client can do: fill the strip to the byte, so that more seems to come.
    clients.send(4096);
    await until(
      () => bytes === CONNECTIONS * 4096,
      () => `${bytes} bytes`,
      30_000,
    );
    assert.ok(pool.stats().inUse <= 64, `${pool.stats().inUse} pages pinned by idle sockets`);
    await until(() => pool.stats().inUse === 0, "those that were armed are taken back", 5_000);
    clients.send(0);
    await until(
      () => closed === CONNECTIONS,
      () => `${closed} closed`,
      60_000,
    );
  },
);

test("a socket that was busy and went quiet gives its page back, and is armed again when it is busy again", async (t) => {
  const pool = poolFor(t, { pageSizeBytes: 65_536, pagesMax: 64 });
  let bytes = 0;
  let receiver: ReturnType<typeof receive> | null = null;
  const port = await listen(
    t,
    (socket) => void (receiver = receive(socket, { pool, engine: "onread" }, (m) => void (bytes += m.length))),
  );
  const far = connect(t, port);
  await once(far, "connect");
  for (let round = 1; round <= 3; round++) {
    await write(far, pattern(0, 10_000_000));
    await until(() => bytes === round * 10_000_000, "received");
    await until(() => pool.stats().inUse === 0, "given back", 5_000);
  }
  const { bytesCopied, bytesReceived } = (receiver as ReturnType<typeof receive> | null)?.stats() ?? {
    bytesCopied: NaN,
    bytesReceived: 1,
  };
  assert.ok(bytesCopied < bytesReceived / 10, `${bytesCopied} of ${bytesReceived} copied`);
});

/**
 * Shows: everything a `net.Socket` and a `net.Server` do beside delivering keeps working, and no page stays out after any of it:
 * end, half-open, reset, timeouts, bytesRead, server.close, maxConnections, refused connects, cluster, writing back.
 */
import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { once } from "node:events";
import net from "node:net";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { loadLibc } from "../../src/os/libc.ts";
import { receive } from "../../src/tcp/index.ts";
import type { Mbuf } from "../../src/tcp/index.ts";
import { poolFor, until } from "../support/at-rest.ts";
import { isPattern, pattern } from "../support/pattern.ts";
import { ENGINES, connect, listen, portOf, socketPair, write } from "../support/sockets.ts";

/** Node 20 and 22 take it for an end, and only the system knows better. */
const noReset =
  Number.parseInt(process.versions.node, 10) < 24 &&
  loadLibc().libc === null &&
  "there are no system calls to ask with";

for (const engine of ENGINES) {
  test(`${engine}: half-open: after the other side's end the socket still writes`, async (t) => {
    const pool = poolFor(t, { pageSizeBytes: 65_536 });
    let bytes = 0;
    const { near, far } = await socketPair(
      t,
      (socket) => void receive(socket, { pool, engine }, (m) => void (bytes += m.length)),
      {
        allowHalfOpen: true,
      },
    );
    let reply = "";
    far.on("data", (chunk) => (reply += String(chunk)));
    far.end(pattern(0, 1_000_000));
    await once(near, "end");
    assert.equal(bytes, 1_000_000);
    await until(() => pool.stats().inUse === 0, "no page is pinned by a half-open socket");
    near.end("still here");
    await once(far, "end");
    assert.equal(reply, "still here");
  });

  test(`${engine}: without allowHalfOpen the socket ends by itself`, async (t) => {
    const pool = poolFor(t);
    const { near, far } = await socketPair(t, (socket) => void receive(socket, { pool, engine }, () => {}));
    far.resume();
    far.end("bye");
    await Promise.all([once(near, "close"), once(far, "close")]);
    assert.ok(near.writableEnded);
  });

  test(`${engine}: a reset in mid-transfer is an 'error' and a 'close'; what was held stays good`, async (t) => {
    const pool = poolFor(t);
    const held: Mbuf[] = [];
    const { near, far } = await socketPair(
      t,
      (socket) => void receive(socket, { pool, engine }, (m) => void held.push(m.hold())),
    );
    await write(far, pattern(0, 50_000));
    await until(() => held.reduce((sum, m) => sum + m.length, 0) === 50_000, "arrived");
    far.resetAndDestroy();
    const [error] = (await once(near, "error")) as [NodeJS.ErrnoException];
    assert.equal(error.code, "ECONNRESET");
    let offset = 0;
    for (const m of held) {
      assert.ok(isPattern(m.bytes, offset));
      offset += m.length;
      m.release();
    }
  });

  test(
    `${engine}: a reset that arrives together with the last bytes is an error, and no end`,
    { skip: noReset },
    async (t) => {
      const pool = poolFor(t);
      let bytes = 0;
      let ends = 0;
      const { near, far } = await socketPair(t, (socket) => {
        receive(socket, { pool, engine }, (m) => (bytes += m.length));
        socket.on("end", () => ends++);
      });
      far.write(pattern(0, 1_000));
      far.resetAndDestroy(); // in the same turn, before anybody reads
      const [error] = (await once(near, "error")) as [NodeJS.ErrnoException];
      assert.equal(error.code, "ECONNRESET");
      assert.equal(error.syscall, "read");
      assert.equal(ends, 0);
      assert(bytes === 0 || bytes === 1_000, "the system may let go of what came before the reset");
      await until(() => pool.stats().inUse === 0, "no page stays out");
    },
  );

  test(`${engine}: a reset while the consumer iterates is thrown into the loop`, async (t) => {
    const pool = poolFor(t);
    let far: net.Socket | null = null;
    const port = await listen(t, (socket) => {
      far = socket;
      socket.write(pattern(0, 1000));
    });
    const iterate = async (): Promise<void> => {
      for await (const m of receive(connect(t, port), { pool, engine })) {
        assert.ok(m.length > 0);
        far?.resetAndDestroy();
      }
    };
    await assert.rejects(iterate, { code: "ECONNRESET" });
  });

  test(`${engine}: a timeout fires when nothing arrives, and not while something does`, async (t) => {
    const pool = poolFor(t);
    let bytes = 0;
    const { near, far } = await socketPair(t, (socket) => {
      socket.setTimeout(150);
      receive(socket, { pool, engine }, (m) => void (bytes += m.length));
    });
    const start = performance.now();
    let timedOutMs = 0;
    near.on("timeout", () => (timedOutMs = performance.now() - start));
    for (let i = 0; i < 6; i++) {
      await write(far, pattern(0, 100));
      await until(() => bytes === (i + 1) * 100, "arrived");
      await new Promise((resolve) => setTimeout(resolve, 50)); // the time between two messages is what this test is about
    }
    assert.equal(timedOutMs, 0, "reads restart the timeout");
    await once(near, "timeout");
    assert.ok(timedOutMs >= 400, `${timedOutMs} ms`);
  });

  test(`${engine}: a refused connect costs no page and surfaces on the socket`, async (t) => {
    const pool = poolFor(t);
    const server = net.createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const port = portOf(server);
    server.close();
    await once(server, "close");
    const socket = net.connect(port, "127.0.0.1");
    receive(socket, { pool, engine }, () => assert.fail("nothing arrives"));
    const [error] = (await once(socket, "error")) as [NodeJS.ErrnoException];
    assert.equal(error.code, "ECONNREFUSED");
    assert.equal(pool.stats().taken, 0);
  });

  test(`${engine}: server.close waits for receiving sockets; getConnections and maxConnections count them`, async (t) => {
    const pool = poolFor(t);
    const server = net.createServer((socket) => void receive(socket, { pool, engine }, () => {}));
    server.maxConnections = 2;
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const port = portOf(server);
    const [first, second] = [connect(t, port), connect(t, port)];
    let connections = 0;
    while (connections < 2) {
      await turn();
      connections = await new Promise<number>((resolve, reject) =>
        server.getConnections((error, count) => (error ? reject(error) : resolve(count))),
      );
    }
    const third = connect(t, port);
    third.on("error", () => {});
    const dropped = await once(server, "drop");
    assert.equal(dropped.length, 1);
    server.close();
    first.end();
    second.end();
    first.resume();
    second.resume();
    await once(server, "close");
  });

  test(`${engine}: echo: writing back a page's bytes, held until the write's callback`, async (t) => {
    const pool = poolFor(t, { pagesMax: 128 });
    const { far } = await socketPair(t, (socket) => {
      receive(socket, { pool, engine }, (m) => {
        m.hold();
        return new Promise<void>((resolve, reject) => {
          socket.write(m.bytes, (error) => {
            m.release();
            if (error) reject(error);
            else resolve();
          });
        });
      });
    });
    let offset = 0;
    far.on("data", (chunk: Buffer) => {
      assert.ok(isPattern(chunk, offset));
      offset += chunk.length;
    });
    far.write(pattern(0, 3_000_000));
    await until(() => offset === 3_000_000, "all echoed");
  });

  test(`${engine}: works in cluster workers`, async () => {
    const worker = new URL("./cluster-primary.js", import.meta.url);
    const child = fork(worker, [engine], { stdio: ["ignore", "inherit", "inherit", "ipc"] });
    const [result] = (await once(child, "message")) as [unknown];
    assert.deepEqual(result, { bytes: 400_000, inUse: 0, workers: 2 });
    child.disconnect();
    await once(child, "exit");
  });
}

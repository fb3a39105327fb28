/**
 * Shows: every kind of socket delivers exactly the bytes that were sent, in order, through pages, with both engines;
 * and what is borrowed ends when it should.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { Readable } from "node:stream";
import { test } from "node:test";
import { receive } from "../../src/tcp/index.ts";
import type { Mbuf } from "../../src/tcp/index.ts";
import { poolFor, until } from "../support/at-rest.ts";
import { isPattern, pattern } from "../support/pattern.ts";
import { ENGINES, connect, listen, socketPair, write } from "../support/sockets.ts";

for (const engine of ENGINES) {
  for (const pageSizeBytes of [4096, 65_536]) {
    test(`${engine}: an accepted socket delivers 5 MB in order, pages of ${pageSizeBytes}`, async (t) => {
      const pool = poolFor(t, { pageSizeBytes, pagesMax: 256 });
      let offset = 0;
      const { near, far } = await socketPair(t, (socket) => {
        const receiver = receive(socket, { pool, engine }, (m: Mbuf) => {
          assert.ok(m.length > 0 && m.length <= pageSizeBytes && m.bytes.length === m.length);
          assert.ok(isPattern(m.bytes, offset), `bytes at ${offset}`);
          offset += m.length;
        });
        assert.equal(receiver.stats().engine, engine);
      });
      far.end(pattern(0, 5_000_000));
      await once(near, "end");
      assert.equal(offset, 5_000_000);
      assert.equal(near.bytesRead, 5_000_000);
    });
  }

  test(`${engine}: a connecting socket, armed before it has a handle`, async (t) => {
    const pool = poolFor(t);
    const port = await listen(t, (socket) => socket.end(pattern(0, 100_000)));
    const socket = connect(t, port);
    let offset = 0;
    receive(socket, { pool, engine }, (m) => {
      assert.ok(isPattern(m.bytes, offset));
      offset += m.length;
    });
    await once(socket, "end");
    assert.equal(offset, 100_000);
  });

  test(`${engine}: for await, with the same bytes, each borrowed until the iteration moves on`, async (t) => {
    const pool = poolFor(t, { pagesMax: 32 });
    const port = await listen(t, (socket) => socket.end(pattern(0, 1_000_000)));
    const socket = connect(t, port);
    let offset = 0;
    const seen: Mbuf[] = [];
    for await (const m of receive(socket, { pool, engine })) {
      assert.ok(seen.every((earlier) => earlier.isReleased));
      assert.ok(isPattern(m.bytes, offset));
      offset += m.length;
      seen.push(m);
    }
    assert.equal(offset, 1_000_000);
    for (const m of seen) assert.throws(() => m.bytes, { code: "ERR_JUMBO_MBUF_RELEASED" });
  });

  test(`${engine}: a Unix socket`, async (t) => {
    const pool = poolFor(t);
    const file = path.join(os.tmpdir(), `jumbo-test-${process.pid}-${engine}.sock`);
    let offset = 0;
    const server = net.createServer((socket) => {
      receive(socket, { pool, engine }, (m) => {
        assert.ok(isPattern(m.bytes, offset));
        offset += m.length;
      });
      socket.on("end", () => server.close());
    });
    server.listen(file);
    await once(server, "listening");
    net.connect(file).end(pattern(0, 300_000));
    await once(server, "close");
    assert.equal(offset, 300_000);
  });

  test(`${engine}: a child's stdout, and the child's own stdin`, async (t) => {
    const pool = poolFor(t);
    const script = `
      import { JumboPool } from ${JSON.stringify(new URL("../../src/index.js", import.meta.url).href)};
      import { receive } from ${JSON.stringify(new URL("../../src/tcp/index.js", import.meta.url).href)};
      const pool = new JumboPool();
      let bytes = 0;
      for await (const m of receive(process.stdin, { pool, engine: ${JSON.stringify(engine)} })) bytes += m.length;
      process.stdout.write("got " + bytes + " in use " + pool.stats().inUse);`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    let said = "";
    const receiver = receive(child.stdout, { pool, engine }, (m) => void (said += m.bytes.toString()));
    child.stdin.end(pattern(0, 200_000));
    await once(child, "close");
    assert.equal(said, "got 200000 in use 0");
    assert.equal(receiver.stats().bytesReceived, said.length);
  });

  test(`${engine}: small reads share a page; each held mbuf keeps its bytes`, async (t) => {
    const pool = poolFor(t);
    const held: Mbuf[] = [];
    const { far } = await socketPair(
      t,
      (socket) => void receive(socket, { pool, engine }, (m) => void held.push(m.hold())),
    );
    for (let i = 0; i < 10; i++) {
      await write(far, pattern(i * 100, 100));
      await until(() => held.length === i + 1, "one mbuf for each write");
    }
    assert.equal(pool.stats().inUse, 1);
    held.forEach((m, i) => assert.ok(isPattern(m.bytes, i * 100)));
    for (const m of held) m.release();
    assert.equal(pool.stats().inUse, 0);
    assert.throws(() => held[0]?.release(), { code: "ERR_JUMBO_MBUF_RELEASED" });
  });

  test(`${engine}: bytes that Node had buffered before receive() come first`, async (t) => {
    const pool = poolFor(t);
    const port = await listen(t, (socket) => socket.write(pattern(0, 20_000)));
    const socket = connect(t, port);
    await until(() => socket.readableLength === 20_000, "buffered by Node");
    let offset = 0;
    receive(socket, { pool, engine }, (m) => {
      assert.ok(isPattern(m.bytes, offset));
      offset += m.length;
    });
    await until(() => offset === 20_000, "delivered");
  });

  test(`${engine}: release() without a hold ends the borrow early; hold() outlives it; copy() is the user's own`, async (t) => {
    const pool = poolFor(t);
    let kept: Mbuf | null = null;
    let copy: Buffer | null = null;
    const { far } = await socketPair(t, (socket) => {
      receive(socket, { pool, engine }, (m) => {
        if (kept === null) {
          kept = m.hold();
          copy = m.copy();
          return;
        }
        m.release();
        assert.ok(m.isReleased);
        assert.throws(() => m.bytes, { code: "ERR_JUMBO_MBUF_RELEASED" });
        assert.throws(() => m.hold(), { code: "ERR_JUMBO_MBUF_RELEASED" });
        assert.throws(() => m.copy(), { code: "ERR_JUMBO_MBUF_RELEASED" });
      });
    });
    await write(far, pattern(0, 50));
    await until(() => kept !== null, "kept");
    await write(far, pattern(50, 50));
    await until(() => pool.stats().inUse === 1, "only the kept one's page is out");
    const m = kept as Mbuf | null;
    assert.ok(m !== null && isPattern(m.bytes, 0));
    m.release();
    assert.ok(copy !== null && isPattern(copy, 0));
  });
}

test("data: any readable stream of bytes will do; auto says why it is not onread", async (t) => {
  const pool = poolFor(t);
  const receiver = receive(Readable.from([pattern(0, 10_000), pattern(10_000, 1)], { objectMode: false }), { pool });
  assert.match(receiver.stats().engineReason ?? "", /no net\.Socket/);
  let offset = 0;
  for await (const m of receiver) {
    assert.ok(isPattern(m.bytes, offset));
    offset += m.length;
  }
  assert.equal(offset, 10_001);
});

test("onread: a busy socket is read without a copy; only what lands after an idle time is copied", async (t) => {
  const pool = poolFor(t, { pageSizeBytes: 65_536, pagesMax: 64 });
  const port = await listen(t, (socket) => socket.end(pattern(0, 50_000_000)));
  const socket = connect(t, port);
  const receiver = receive(socket, { pool, engine: "onread" }, () => {});
  await once(socket, "end");
  const { bytesReceived, bytesCopied } = receiver.stats();
  assert.equal(bytesReceived, 50_000_000);
  assert.ok(bytesCopied < bytesReceived / 20, `${bytesCopied} of ${bytesReceived} bytes were copied`);
});

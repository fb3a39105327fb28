/**
 * Shows that `writeTo()` writes every byte of a chain, in order, to files, descriptors, sockets and other streams, from the pages and with back-pressure;
 * and that a full disk, EPIPE, a destroyed stream and an aborted signal give every page back and surface once, as the rejection.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { closeSync, existsSync, openSync, readFileSync } from "node:fs";
import { open } from "node:fs/promises";
import type net from "node:net";
import path from "node:path";
import { PassThrough, Writable } from "node:stream";
import { after, test } from "node:test";
import { writeTo } from "../../src/delivery/index.ts";
import type { JumboPool } from "../../src/index.ts";
import { MbufChain } from "../../src/mbuf/index.ts";
import { receive } from "../../src/tcp/index.ts";
import { temporaryFolder } from "../cli/command.ts";
import { withCode } from "../pool/with-code.ts";
import { poolFor, until } from "../support/at-rest.ts";
import { isPattern, pattern } from "../support/pattern.ts";
import { socketPair } from "../support/sockets.ts";
import { Mbuf } from "../../src/mbuf/index.ts";
import type { Storage } from "../../src/mbuf/index.ts";
import { receiveAll } from "./proxy.ts";

const folder = temporaryFolder({ after });

/** A chain over pages of `pool`, each filled but for its last byte, so that no two are side by side. */
function chainOf(pool: JumboPool, bytes: number): MbufChain {
  const chain = new MbufChain();
  const most = pool.pageSizeBytes - 1;
  for (let at = 0; at < bytes; at += most) {
    const page = pool.alloc();
    assert.ok(page);
    const length = Math.min(most, bytes - at);
    page.bytes.set(pattern(at, length));
    using mbuf = new Mbuf(page, 0, length);
    chain.append(mbuf);
  }
  return chain;
}

test("to a FileHandle and to a descriptor, more segments than one writev takes", async (t) => {
  const pool = poolFor(t, { pageSizeBytes: 4096, pagesMax: 2_000, audit: false });
  const bytes = 4095 * 1_500 + 17;
  for (const kind of ["handle", "fd"] as const) {
    const file = path.join(folder, kind);
    const handle = await open(file, "w");
    using chain = chainOf(pool, bytes);
    assert.equal(chain.segmentCount, 1_501);
    const written = writeTo(kind === "handle" ? handle : handle.fd, chain);
    assert.equal(chain.lengthBytes, 0, "taken over at once");
    assert.equal(await written, bytes);
    await handle.close();
    const content = readFileSync(file);
    assert.ok(content.length === bytes && isPattern(content, 0));
    assert.equal(pool.stats().inUse, 0);
  }
});

test("of a chain of 100,000 segments that goes to a file each is looked at once", async (t) => {
  const segments = 100_000;
  const storage: Storage = { bytes: Buffer.alloc(2, "jumbo"), hold: () => {}, release: () => {} };
  const mbuf = new Mbuf(storage, 0, 1); // the same byte again is not side by side with itself
  const file = path.join(folder, "many");
  const { mock } = t.mock.method(MbufChain.prototype, "segments");
  await using handle = await open(file, "w");
  using chain = new MbufChain();
  for (let i = 0; i < segments; i++) chain.append(mbuf);
  assert.equal(await writeTo(handle, chain), segments);
  assert.equal(readFileSync(file).length, segments);
  const { calls } = mock; // as they are now
  const views = calls.reduce((sum, { result }) => sum + (result?.length ?? 0), 0);
  assert.ok(views >= segments && views < segments * 1.1, `${views} views for ${calls.length} system calls`);
});

test("to a socket: pages stay until the system has taken their bytes, and go back one by one", async (t) => {
  const pool = poolFor(t, { pageSizeBytes: 65_536, pagesMax: 400, audit: false });
  const { near, far } = await socketPair(t, () => {});
  far.pause();
  const bytes = 20_000_000;
  using chain = chainOf(pool, bytes);
  let isWritten = false;
  const written = writeTo(near, chain).then(() => (isWritten = true));
  await until(() => near.bytesWritten > 0, "begun");
  assert.ok(!isWritten && pool.stats().inUse > 0, "what the system has not taken is held");
  near.end();
  const all = await receiveAll(far);
  assert.ok(all.length === bytes && isPattern(all, 0));
  await written;
});

test("calls on one stream keep their order; one that keeps what it is given gets copies", async (t) => {
  const pool = poolFor(t);
  const sink = new PassThrough();
  const result = receiveAll(sink as unknown as net.Socket); // it iterates, which is all that is asked
  let rest = chainOf(pool, 1_000_000);
  const pieces: Promise<number>[] = [];
  while (rest.lengthBytes > 0) {
    const tail = rest.split(Math.min(99_991, rest.lengthBytes));
    pieces.push(writeTo(sink, rest));
    rest.release();
    rest = tail;
  }
  rest.release();
  await Promise.all(pieces);
  sink.end();
  assert.ok(isPattern(await result, 0));
});

test("returned from the callback of receive(), the sender is held back by a slow target", async (t) => {
  const pool = poolFor(t, { pageSizeBytes: 16_384, pagesMax: 64 });
  const chunks: Buffer[] = [];
  const slow = new Writable({
    write(chunk: Buffer, _encoding, done): void {
      chunks.push(Buffer.from(chunk));
      setImmediate(done);
    },
  });
  const { near, far } = await socketPair(t, (socket) => {
    receive(socket, { pool }, async (mbuf) => {
      using chain = new MbufChain().append(mbuf);
      await writeTo(slow, chain);
    });
  });
  far.end(pattern(0, 3_000_000));
  await once(near, "end");
  assert.ok(isPattern(Buffer.concat(chunks), 0));
  assert.ok(pool.stats().inUsePeak <= 40, `${pool.stats().inUsePeak} pages at most`);
});

test(
  "a full disk rejects with ENOSPC, and every page is back",
  { skip: existsSync("/dev/full") ? false : "no /dev/full" },
  async (t) => {
    const pool = poolFor(t);
    const fd = openSync("/dev/full", "w");
    t.after(() => closeSync(fd));
    using chain = chainOf(pool, 500_000);
    await assert.rejects(writeTo(fd, chain), { code: "ENOSPC" });
    assert.equal(pool.stats().inUse, 0);
  },
);

test("a socket whose peer has gone, a stream that is destroyed in mid-write, and one that was before: one rejection, no 'error' to catch", async (t) => {
  const pool = poolFor(t, { pageSizeBytes: 65_536, pagesMax: 400, audit: false });
  const { near, far } = await socketPair(t, () => {});
  far.resetAndDestroy();
  await once(far, "close");
  const gone = chainOf(pool, 10_000_000);
  await assert.rejects(writeTo(near, gone), (error: NodeJS.ErrnoException) =>
    /EPIPE|ECONNRESET|DESTROYED/.test(error.code ?? ""),
  );
  gone.release();

  const { near: stalled } = await socketPair(t, () => {});
  const half = chainOf(pool, 20_000_000);
  const written = writeTo(stalled, half);
  await until(() => stalled.bytesWritten > 0, "begun");
  stalled.destroy();
  await assert.rejects(written, (error: NodeJS.ErrnoException) => /DESTROYED|ECANCELED/.test(error.code ?? ""));
  await until(() => pool.stats().inUse === 0, "every page is back");
  const again = half.append(Buffer.from("more")); // the chain is still its owner's
  await assert.rejects(writeTo(stalled, again), { code: "ERR_STREAM_DESTROYED" });
  half.release();
});

test("an aborted signal rejects with its reason and destroys a stream", async (t) => {
  const pool = poolFor(t, { pageSizeBytes: 65_536, pagesMax: 400, audit: false });
  const reason = new Error("enough");
  using before = chainOf(pool, 1_000);
  await assert.rejects(writeTo(new PassThrough(), before, { signal: AbortSignal.abort(reason) }), reason);
  const { near, far } = await socketPair(t, () => {});
  far.pause();
  using chain = chainOf(pool, 20_000_000);
  const controller = new AbortController();
  const written = writeTo(near, chain, { signal: controller.signal });
  await until(() => near.bytesWritten > 0, "begun");
  controller.abort(reason);
  await assert.rejects(written, reason);
  assert.ok(near.destroyed);
  assert.equal(pool.stats().inUse, 0);
});

test("what makes no sense is refused, with the chain as it was", async (t) => {
  const pool = poolFor(t);
  const chain = chainOf(pool, 100);
  const invalid = withCode("ERR_JUMBO_OPTION_INVALID");
  await assert.rejects(writeTo("file" as never, chain), invalid);
  await assert.rejects(writeTo(-1, chain), invalid);
  await assert.rejects(writeTo(new PassThrough({ objectMode: true }), chain), invalid);
  await assert.rejects(writeTo(1, Buffer.alloc(1) as never), invalid);
  await assert.rejects(writeTo(1, chain, { signal: {} as never }), invalid);
  assert.equal(chain.lengthBytes, 100);
  chain.release();
  await assert.rejects(writeTo(1, chain), withCode("ERR_JUMBO_CHAIN_RELEASED"));
  assert.equal(await writeTo(new PassThrough(), new MbufChain()), 0, "nothing is written at once");
});

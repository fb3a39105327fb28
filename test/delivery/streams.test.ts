/**
 * Shows that the stream adapters work with `pipeline`, `for await` and the web's readers, give every page back at once because they copy, end and fail as the
 * socket does, and that leaving them early destroys the socket.
 */
import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { pipeline } from "node:stream/promises";
import { test } from "node:test";
import { duplexOf, readableOf, webStreamOf } from "../../src/delivery/index.ts";
import { receive } from "../../src/tcp/index.ts";
import { poolFor, until } from "../support/at-rest.ts";
import { isPattern, pattern } from "../support/pattern.ts";
import { socketPair } from "../support/sockets.ts";

const BYTES = 3_000_000;

test("readableOf: through a pipeline, intact, in plain memory", async (t) => {
  const pool = poolFor(t, { pagesMax: 64 });
  const { near, far } = await socketPair(t, () => {});
  const source = readableOf(receive(near, { pool }));
  far.end(pattern(0, BYTES));
  const chunks: Buffer[] = [];
  const sink = new PassThrough().on("data", (chunk: Buffer) => chunks.push(chunk));
  await pipeline(source, sink);
  const all = Buffer.concat(chunks);
  assert.ok(all.length === BYTES && isPattern(all, 0));
  assert.ok(chunks.every((chunk) => chunk.buffer instanceof ArrayBuffer));
});

test("webStreamOf: what the web's readers refuse of shared memory they take of this", async (t) => {
  const pool = poolFor(t, { pagesMax: 64 });
  const { near, far } = await socketPair(t, () => {});
  far.end(pattern(0, BYTES));
  const bytes = Buffer.from(await new Response(webStreamOf(receive(near, { pool })) as never).arrayBuffer());
  assert.ok(bytes.length === BYTES && isPattern(bytes, 0));
  const page = pool.alloc();
  assert.ok(page);
  const enqueue = (): unknown => new ReadableStream({ type: "bytes", start: (c) => c.enqueue(page.bytes) });
  assert.throws(enqueue, TypeError, "shared memory is refused: so it is copied");
  page.release();
});

test("webStreamOf: a reader that brings memory of its own has it filled, and is told of the end; shared memory is refused there too", async (t) => {
  const pool = poolFor(t, { pagesMax: 64 });
  const { near, far } = await socketPair(t, () => {});
  far.end(pattern(0, BYTES));
  const reader = webStreamOf(receive(near, { pool })).getReader({ mode: "byob" });
  await assert.rejects(reader.read(new Uint8Array(new SharedArrayBuffer(10)) as never), TypeError);
  let bytes = 0;
  for (let memory = new Uint8Array(100_000); ;) {
    const { value, done } = await reader.read(memory);
    if (done) break;
    assert.equal(value.buffer.byteLength, 100_000);
    assert.ok(isPattern(value, bytes));
    bytes += value.length;
    memory = new Uint8Array(value.buffer);
  }
  assert.equal(bytes, BYTES);
});

test("duplexOf: reads and writes", async (t) => {
  const pool = poolFor(t, { pagesMax: 64 });
  const { near, far } = await socketPair(t, () => {}, { allowHalfOpen: true });
  far.pipe(far); // an echo
  const duplex = duplexOf(near, { pool });
  duplex.end(pattern(0, BYTES));
  const chunks: Buffer[] = [];
  for await (const chunk of duplex as AsyncIterable<Buffer>) chunks.push(chunk);
  assert.ok(isPattern(Buffer.concat(chunks), 0) && Buffer.concat(chunks).length === BYTES);
});

test("an early end destroys the socket; a reset fails the stream", async (t) => {
  const pool = poolFor(t);
  const { near, far } = await socketPair(t, () => {});
  far.on("error", () => {}).write(pattern(0, BYTES));
  for await (const chunk of readableOf(receive(near, { pool })) as AsyncIterable<Buffer>) {
    assert.ok(chunk.length > 0);
    break;
  }
  await until(() => near.destroyed, "destroyed");

  const { near: second, far: sender } = await socketPair(t, () => {});
  const reader = webStreamOf(receive(second, { pool })).getReader();
  sender.write("x");
  await reader.read();
  await reader.cancel();
  await until(() => second.destroyed, "cancelled");

  const { near: third, far: last } = await socketPair(t, () => {});
  const stream = readableOf(receive(third, { pool }));
  const failed = assert.rejects(pipeline(stream, new PassThrough().resume()), { code: "ECONNRESET" });
  last.write("x");
  await until(() => third.bytesRead === 1, "one byte");
  last.resetAndDestroy();
  await failed;
});

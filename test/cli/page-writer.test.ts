/**
 * Shows: pieces are written in order, also when the system takes less than it is given or nothing at the moment; each is let go once,
 * and not before all of it is written; a failure lets everything go, is told once, and leaves nobody waiting.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { closeSync, constants, openSync, readFileSync, readSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { PageWriter } from "../../src/cli/page-writer.ts";
import type { Piece } from "../../src/cli/page-writer.ts";
import { until } from "../support/at-rest.ts";
import { isPattern, pattern } from "../support/pattern.ts";
import { missing, temporaryFolder } from "./command.ts";

/** Pieces of the pattern that count how often they are let go. */
class Pieces {
  readonly releases: number[] = [];
  #offset = 0;

  next(length: number): Piece {
    const bytes = Buffer.from(pattern(this.#offset, length));
    this.#offset += length;
    const index = this.releases.push(0) - 1;
    return {
      bytes,
      release: () => {
        this.releases[index] = (this.releases[index] ?? 0) + 1;
        bytes.fill(0xee); // what is written after this is seen
      },
    };
  }

  assertAllReleasedOnce(): void {
    assert.ok(this.releases.every((count) => count === 1));
  }
}

const unexpected = (error: Error): void => assert.fail(error);

test("a file holds all pieces, in order, more than one call can take", async (t) => {
  const file = path.join(temporaryFolder(t), "out");
  const fd = openSync(file, "w");
  t.after(() => closeSync(fd));
  const writer = new PageWriter(fd, { unwrittenBytesMax: 1 << 20, onFailure: unexpected });
  const pieces = new Pieces();
  let total = 0;
  for (let i = 0; i < 5_000; i++) {
    writer.add(pieces.next(1 + (i % 700)));
    total += 1 + (i % 700);
  }
  assert.equal(writer.isFull, true);
  await writer.drained();
  assert.equal(writer.writtenBytes, total);
  assert.ok(isPattern(readFileSync(file), 0));
  pieces.assertAllReleasedOnce();
  await writer.room();
  await writer.drained();
});

test("a pipe that takes little, and at times nothing", { skip: missing("mkfifo") }, async (t) => {
  const fifo = path.join(temporaryFolder(t), "fifo");
  execFileSync("mkfifo", [fifo]);
  const readFd = openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK);
  const writeFd = openSync(fifo, constants.O_WRONLY | constants.O_NONBLOCK); // so writev is short, or says EAGAIN
  t.after(() => [readFd, writeFd].forEach((fd) => closeSync(fd)));
  const writer = new PageWriter(writeFd, { unwrittenBytesMax: 100_000, onFailure: unexpected });
  const pieces = new Pieces();
  const sizes = [50_000, 3, 100_000, 65_536, 1, 200_000];
  for (const size of sizes) writer.add(pieces.next(size));
  let isRoom = false;
  void writer.room().then(() => (isRoom = true));

  const total = sizes.reduce((a, b) => a + b);
  const chunk = Buffer.alloc(10_007);
  let read = 0;
  await until(() => {
    if (read === 0 && writer.writtenBytes === 0) return false;
    assert.ok(isRoom || total - writer.writtenBytes >= 50_000, "no room before half is written");
    const length = readIfAny(readFd, chunk);
    assert.ok(isPattern(chunk.subarray(0, length), read));
    read += length;
    return read === total;
  }, "everything has come through");
  await writer.drained();
  assert.equal(isRoom, true);
  pieces.assertAllReleasedOnce();
});

test("a failure lets everything go and is told once", async (t) => {
  const fd = openSync("/dev/null", "r"); // writing to it is EBADF
  t.after(() => closeSync(fd));
  const errors: NodeJS.ErrnoException[] = [];
  const writer = new PageWriter(fd, { unwrittenBytesMax: 1_000, onFailure: (error) => errors.push(error) });
  const pieces = new Pieces();
  for (let i = 0; i < 10; i++) writer.add(pieces.next(500));
  await Promise.all([writer.room(), writer.drained()]);
  assert.deepEqual(
    errors.map(({ code }) => code),
    ["EBADF"],
  );
  assert.equal(writer.failure, errors[0]);
  writer.add(pieces.next(5_000));
  assert.equal(writer.isFull, false);
  await Promise.all([writer.room(), writer.drained()]);
  assert.equal(writer.writtenBytes, 0);
  pieces.assertAllReleasedOnce();
});

function readIfAny(fd: number, into: Buffer): number {
  try {
    return readSync(fd, into);
  } catch (error) {
    assert.equal((error as NodeJS.ErrnoException).code, "EAGAIN"); // fs throws nothing else
    return 0;
  }
}

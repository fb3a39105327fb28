/**
 * Shows: what is appended is written in order, also when the system takes less than it is given or nothing at the moment; each storage is let go once,
 * and not before all of it is written; little is waited with and then written; a failure lets everything go, is told once, and leaves nobody waiting.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { closeSync, constants, openSync, readFileSync, readSync } from "node:fs";
import { open } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { ChainWriter } from "../../src/delivery/index.ts";
import { Mbuf } from "../../src/mbuf/index.ts";
import { receive } from "../../src/tcp/index.ts";
import { missing, temporaryFolder } from "../cli/command.ts";
import { withCode } from "../pool/with-code.ts";
import { poolFor, until } from "../support/at-rest.ts";
import { isPattern, pattern } from "../support/pattern.ts";
import { socketPair, write } from "../support/sockets.ts";

/** Pieces of the pattern that count how often they are let go. */
class Pieces {
  readonly releases: number[] = [];
  #offset = 0;

  /** Appends the next piece. */
  next(writer: ChainWriter, length: number): Promise<void> | undefined {
    const bytes = Buffer.from(pattern(this.#offset, length));
    this.#offset += length;
    const index = this.releases.push(0) - 1;
    using mbuf = Mbuf.external(bytes, () => {
      this.releases[index] = (this.releases[index] ?? 0) + 1;
      bytes.fill(0xee); // what is written after this is seen
    });
    return writer.append(mbuf);
  }

  assertAllReleasedOnce(): void {
    assert.ok(this.releases.every((count) => count === 1));
  }
}

const unexpected = (error: unknown): void => assert.fail(String(error));

test("a file holds all pieces, in order, more than one call can take", async (t) => {
  const file = path.join(temporaryFolder(t), "out");
  const fd = openSync(file, "w");
  t.after(() => closeSync(fd));
  const writer = new ChainWriter(fd, { unwrittenBytesMax: 1 << 20, onFailure: unexpected });
  const pieces = new Pieces();
  let total = 0;
  let answer: Promise<void> | undefined;
  for (let i = 0; i < 5_000; i++) {
    answer = pieces.next(writer, 1 + (i % 700));
    total += 1 + (i % 700);
    assert.equal(answer !== undefined, total >= 1 << 20 || i >= 4_095, "full by bytes, or by count");
    assert.equal(writer.writtenBytes + writer.unwrittenBytes, total);
  }
  await Promise.all([answer, writer.drained()]);
  assert.equal(writer.writtenBytes, total);
  assert.ok(isPattern(readFileSync(file), 0));
  pieces.assertAllReleasedOnce();
  await writer.drained();
});

test("a pipe that takes little, and at times nothing", { skip: missing("mkfifo") }, async (t) => {
  const fifo = path.join(temporaryFolder(t), "fifo");
  execFileSync("mkfifo", [fifo]);
  const readFd = openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK);
  const writeFd = openSync(fifo, constants.O_WRONLY | constants.O_NONBLOCK); // so writev is short, or says EAGAIN
  t.after(() => [readFd, writeFd].forEach((fd) => closeSync(fd)));
  const writer = new ChainWriter(writeFd, { unwrittenBytesMax: 100_000, onFailure: unexpected });
  const pieces = new Pieces();
  const sizes = [50_000, 3, 100_000, 65_536, 1, 200_000];
  const answers = sizes.map((size) => pieces.next(writer, size));
  assert.deepEqual(
    answers.map((answer) => answer !== undefined),
    [false, false, true, true, true, true],
  );
  let isRoom = false;
  void answers[2]?.then(() => (isRoom = true));

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

test("little is written by itself, after a moment; a copy of bytes, too", async (t) => {
  const file = path.join(temporaryFolder(t), "out");
  await using handle = await open(file, "w");
  const writer = new ChainWriter(handle, { onFailure: unexpected });
  const pieces = new Pieces();
  assert.equal(pieces.next(writer, 10), undefined);
  assert.equal(writer.append(pattern(10, 10)), undefined);
  assert.equal(writer.writtenBytes, 0, "waited with");
  await until(() => writer.writtenBytes === 20, "written by itself");
  assert.ok(isPattern(readFileSync(file), 0));
  pieces.assertAllReleasedOnce();
});

test("as the callback of receive(): every byte, and every page is back", async (t) => {
  const pool = poolFor(t);
  const file = path.join(temporaryFolder(t), "out");
  await using handle = await open(file, "w");
  const writer = new ChainWriter(handle, { unwrittenBytesMax: 300_000, onFailure: unexpected });
  const { near, far } = await socketPair(t, (socket) => {
    receive(socket, { pool }, (mbuf) => writer.append(mbuf));
  });
  const ended = once(near, "end");
  for (let at = 0; at < 20_000_000; at += 1_000_000) await write(far, pattern(at, 1_000_000));
  far.end();
  await ended;
  await writer.drained();
  const content = readFileSync(file);
  assert.ok(content.length === 20_000_000 && isPattern(content, 0));
});

test("a failure lets everything go and is told once", async (t) => {
  const fd = openSync("/dev/null", "r"); // writing to it is EBADF
  t.after(() => closeSync(fd));
  const codes: unknown[] = [];
  const onFailure = (error: unknown): void => void codes.push((error as NodeJS.ErrnoException).code); // the system's
  const writer = new ChainWriter(fd, { unwrittenBytesMax: 1_000, onFailure });
  const pieces = new Pieces();
  const answers = Array.from({ length: 10 }, () => pieces.next(writer, 500));
  await Promise.all([...answers, writer.drained()]);
  assert.deepEqual(codes, ["EBADF"]);
  assert.equal(pieces.next(writer, 5_000), undefined, "nothing to wait for");
  await writer.drained();
  assert.deepEqual([writer.writtenBytes, writer.unwrittenBytes], [0, 0]);
  pieces.assertAllReleasedOnce();
});

test("what makes no sense is refused", () => {
  const invalid = withCode("ERR_JUMBO_OPTION_INVALID");
  assert.throws(() => new ChainWriter(-1, { onFailure: unexpected }), invalid);
  assert.throws(() => new ChainWriter(1, undefined as never), invalid);
  assert.throws(() => new ChainWriter(1, { onFailure: unexpected, unwrittenBytesMax: 0 }), invalid);
  assert.throws(() => new ChainWriter(1, { onFailure: unexpected }).append("text" as never), invalid);
});

function readIfAny(fd: number, into: Buffer): number {
  try {
    return readSync(fd, into);
  } catch (error) {
    assert.equal((error as NodeJS.ErrnoException).code, "EAGAIN"); // fs throws nothing else
    return 0;
  }
}

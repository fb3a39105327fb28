/**
 * Shows what the model test does not: that a chain refuses what it must and is unchanged then, that it lets each segment go at the
 * right moment when it is iterated or streamed, that memory which shows nobody else's bytes is used for headroom, and that mbufs of a
 * receiver can be kept in it.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { pipeline } from "node:stream/promises";
import { Writable } from "node:stream";
import { describe, test } from "node:test";
import { Mbuf, MbufChain } from "../../src/mbuf/index.ts";
import type { Storage } from "../../src/mbuf/index.ts";
import { PageFiller } from "../../src/mbuf/page-filler.ts";
import { receive } from "../../src/tcp/index.ts";
import { withCode } from "../pool/with-code.ts";
import { poolFor } from "../support/at-rest.ts";
import { isPattern, pattern } from "../support/pattern.ts";
import { Random } from "../support/random.ts";
import { socketPair } from "../support/sockets.ts";

/** A chain of external mbufs, one for each text, and the texts whose storage was freed. */
function chainOf(...texts: string[]): { readonly chain: MbufChain; readonly freed: string[] } {
  const freed: string[] = [];
  const chain = new MbufChain();
  for (const text of texts) {
    const mbuf = Mbuf.external(Buffer.from(text), (_bytes, name) => freed.push(name), text);
    chain.append(mbuf);
    mbuf.release();
  }
  return { chain, freed };
}

/** Storage that can be held only so often. */
function limitedStorage(bytes: Buffer, holdsMax: number): Storage & { holds: number } {
  return {
    bytes,
    holds: 1,
    hold() {
      if (this.holds === holdsMax) throw new Error("no more holds");
      this.holds++;
    },
    release() {
      this.holds--;
    },
  };
}

describe("what is refused changes nothing", () => {
  test("offsets, lengths and counts that the chain does not have", () => {
    const { chain } = chainOf("abc", "def");
    const wrong: (() => unknown)[] = [
      ...[-1, 7, 1.5, Number.NaN, Number.POSITIVE_INFINITY].flatMap((offset) => [
        () => chain.split(offset),
        () => chain.copyRange(offset, 0),
        () => chain.copyRange(0, offset),
        () => chain.cursor(offset),
        () => chain.copyOut(Buffer.alloc(1), offset),
      ]),
      () => chain.copyRange(3, 4),
      () => chain.adj(0.5),
      () => chain.trimStart(-1),
      () => chain.trimEnd(-1),
      () => chain.pullup(-1),
    ];
    for (const use of wrong) assert.throws(use, withCode("ERR_JUMBO_CHAIN_RANGE"));
    assert.equal(chain.toBuffer().toString(), "abcdef");
    chain.release();
  });

  test("parts that are none", () => {
    const { chain } = chainOf("abc");
    const parts: readonly unknown[] = ["text", null, [1], chain];
    const uses = parts.flatMap((part) => [
      () => chain.append(part as Buffer), // callers without types
      () => chain.prepend(part as Buffer),
      () => chain.concat(part as MbufChain),
    ]);
    for (const use of uses) assert.throws(use, withCode("ERR_JUMBO_OPTION_INVALID"));
    assert.equal(chain.toBuffer().toString(), "abc");
    chain.release();
  });

  test("a released chain, in every use, and its cursor; an ended borrow", () => {
    const { chain, freed } = chainOf("abc", "def");
    const other = new MbufChain();
    const cursor = chain.cursor();
    cursor.readUInt8();
    chain.release();
    assert.deepEqual(freed, ["abc", "def"]);
    assert.equal(chain.isReleased, true);
    const uses: (() => unknown)[] = [
      () => chain.lengthBytes,
      () => chain.segmentCount,
      () => chain.leadingSpaceBytes,
      () => chain.trailingSpaceBytes,
      () => chain.append(Buffer.from("x")),
      () => chain.prepend(Buffer.from("x")),
      () => chain.concat(other),
      () => other.concat(chain),
      () => chain.split(0),
      () => chain.copyRange(0, 0),
      () => chain.slice(),
      () => chain.adj(1),
      () => chain.pullup(0),
      () => chain.copyOut(Buffer.alloc(1)),
      () => chain.toBuffer(),
      () => chain.segments(),
      () => [...chain],
      () => chain.indexOf("a"),
      () => chain.equals(other),
      () => other.equals(chain),
      () => chain.cursor(),
      () => chain.toReadable(),
      () => chain.release(),
      () => cursor.readUInt8(),
      () => cursor.offset,
      () => cursor.remainingBytes,
      () => cursor.seek(0),
      () => cursor.skip(0),
      () => cursor.readString(0),
      () => cursor.readVarint(),
      () => cursor.readLine(),
    ];
    for (const use of uses) assert.throws(use, withCode("ERR_JUMBO_CHAIN_RELEASED"), String(use));
    chain[Symbol.dispose]();
    assert.deepEqual(freed, ["abc", "def"]);
    other.release();

    const mbuf = Mbuf.external(Buffer.from("x"), () => {});
    mbuf.release();
    using chainOfNothing = new MbufChain();
    assert.throws(() => chainOfNothing.append(mbuf), withCode("ERR_JUMBO_MBUF_RELEASED"));
    assert.throws(() => chainOfNothing.prepend(mbuf), withCode("ERR_JUMBO_MBUF_RELEASED"));
  });

  test("a hold that cannot be had: nothing is shared, nothing is lost", () => {
    const { chain, freed } = chainOf("abc");
    const storage = limitedStorage(Buffer.from("def"), 2);
    const mbuf = new Mbuf(storage, 0, 3);
    chain.append(mbuf);
    assert.equal(storage.holds, 2);
    for (const use of [() => chain.append(mbuf), () => chain.copyRange(1, 4), () => chain.split(4)]) {
      assert.throws(use, /no more holds/);
      assert.equal(storage.holds, 2);
      assert.equal(chain.toBuffer().toString(), "abcdef");
      chain.verify();
    }
    chain.release();
    assert.equal(storage.holds, 1);
    assert.deepEqual(freed, ["abc"], "let go once, so copyRange gave back what it had taken");
    mbuf.release();
  });
});

describe("room", () => {
  test("storage that does not count its holds is never written to", () => {
    const bytes = Buffer.from("0123456789");
    const { holds: _, ...storage } = limitedStorage(bytes, 9);
    const mbuf = new Mbuf({ ...storage, hold: () => {}, release: () => {} }, 0, 10);
    using chain = new MbufChain().append(mbuf);
    mbuf.release();
    chain.trimStart(3).prepend(Buffer.from("xyz"));
    assert.equal(bytes.toString(), "0123456789");
    assert.equal(chain.toBuffer().toString(), "xyz3456789");
  });

  test("headers put in front one after the other share a block, and so do small pieces behind", () => {
    using chain = new MbufChain();
    for (let i = 0; i < 20; i++) chain.prepend(Buffer.from(`header ${i};`));
    assert.equal(chain.segmentCount, 1);
    using other = new MbufChain();
    for (let i = 0; i < 100; i++) other.append(Buffer.from(`piece ${i};`));
    assert.equal(other.segmentCount, 1);
    assert.equal(other.toBuffer().toString(), Array.from({ length: 100 }, (_, i) => `piece ${i};`).join(""));
  });

  test("of a receiver's page only the mbuf's own stretch is room, and only for its sole holder", (t) => {
    const pool = poolFor(t);
    const filler = PageFiller.of(pool);
    const [first, second] = [filler.copy(Buffer.from("first")), filler.copy(Buffer.from("second"))];
    assert(first !== null && second !== null);
    using chain = new MbufChain().append(second);
    second.release();
    chain.trimStart(3).trimEnd(1);
    assert.equal(chain.leadingSpaceBytes, 0, "the first piece is in the page, too");
    first.release();
    assert.equal(chain.leadingSpaceBytes, 3);
    assert.equal(chain.trailingSpaceBytes, 1, "behind it the filler goes on");
  });

  test("mbufs side by side in a page become one segment, with one hold", (t) => {
    const pool = poolFor(t);
    const filler = PageFiller.of(pool);
    using chain = new MbufChain();
    for (let i = 0; i < 10; i++) {
      const piece = filler.copy(Buffer.from(`${i}`));
      assert(piece !== null);
      chain.append(piece);
      piece.endBorrow();
    }
    assert.equal(chain.segmentCount, 1);
    assert.equal(chain.toBuffer().toString(), "0123456789");
    assert.equal(pool.stats().inUse, 1);
    const page = pool.holders()[0];
    assert.equal(page?.holdCount, 1);
  });

  test("pullup: a view when they lie together, into the room behind when they fit, else into a block with headroom", () => {
    const { chain, freed } = chainOf("abc...", "def", "ghi");
    assert.equal(chain.pullup(3)?.toString(), "abc");
    assert.equal(chain.segmentCount, 3);
    const tail = chain.split(6);
    chain.trimEnd(3).concat(tail); // three bytes of room behind "abc"
    assert.equal(chain.pullup(5)?.toString(), "abcde");
    assert.equal(chain.segmentCount, 3);
    assert.deepEqual(freed, []);
    assert.equal(chain.pullup(6)?.toString(), "abcdef");
    assert.deepEqual(freed, ["def"]);
    assert.equal(chain.pullup(9)?.toString(), "abcdefghi");
    assert.deepEqual(freed, ["def", "abc...", "ghi"]);
    assert.equal(chain.segmentCount, 1);
    assert(chain.leadingSpaceBytes > 0);
    assert.equal(chain.pullup(10), null);
    assert.equal(chain.pullup(0)?.length, 0);
    chain.release();
    tail.release();
  });
});

test("indexOf finds in thousands of tiny segments what Buffer finds, wherever it begins and ends", () => {
  const random = new Random(27);
  const bytes = Buffer.from(Array.from({ length: 6000 }, () => (random.chance(0.1) ? 98 : 97))); // mostly "a"
  using chain = new MbufChain();
  for (let at = 0; at < bytes.length;) {
    const length = random.int(1, 3);
    const mbuf = Mbuf.external(Buffer.from(bytes.subarray(at, at + length)), () => {});
    chain.append(mbuf);
    mbuf.release();
    at += length;
  }
  assert(chain.segmentCount > 2000);
  for (let i = 0; i < 1000; i++) {
    const start = random.int(0, bytes.length - 1);
    const needle = bytes.subarray(start, start + random.pick([1, 2, 30, 100, 600]));
    const from = random.pick([0, start, Math.max(0, start - 1100), -random.int(1, bytes.length)]);
    assert.equal(chain.indexOf(needle, from), bytes.indexOf(needle, from));
  }
  assert.equal(chain.indexOf("c"), -1);
  assert.equal(chain.indexOf(98, 10), bytes.indexOf(98, 10));
  assert.equal(chain.indexOf("", 10), 10);
});

test("case 27, before the next read: headers pulled up out of a payload page leave it, from no page boundary on", (t) => {
  const pool = poolFor(t, { pageSizeBytes: 4096 });
  const page = pool.alloc();
  assert(page !== null);
  pattern(14, 4096).copy(page.bytes);
  const payload = Mbuf.external(page.bytes, () => page.release());
  using chain = new MbufChain().append(pattern(0, 14)).append(payload);
  const before = chain.segments().at(-1);
  assert.equal(before?.byteOffset, payload.bytes.byteOffset, "it starts with the page");
  const headers = chain.pullup(54);
  assert(headers !== null && isPattern(headers, 0));
  const rest = chain.segments().at(-1);
  assert.equal(rest?.byteOffset, payload.bytes.byteOffset + 40, "it does not any more: a flip is out of the question");
  assert.equal(rest.length, 4056);
  assert(isPattern(chain.toBuffer(), 0));
  payload.release();
});

describe("iterating and streaming", () => {
  test("for … of shows the segments where they are, and keeps them", () => {
    const { chain, freed } = chainOf("abc", "def");
    const seen: string[] = [];
    for (const bytes of chain) seen.push(bytes.toString());
    assert.deepEqual(seen, ["abc", "def"]);
    assert.equal([...chain][0], chain.segments()[0], "no copy");
    assert.deepEqual(freed, []);
    chain.release();
  });

  test("for await lets each segment go when the loop moves on", async () => {
    const { chain, freed } = chainOf("abc", "def", "ghi");
    const freedWhenSeen: [string, number][] = [];
    for await (const bytes of chain) {
      freedWhenSeen.push([bytes.toString(), freed.length]);
      if (freedWhenSeen.length === 1) chain.append(Buffer.from("more"));
    }
    assert.deepEqual(freedWhenSeen, [
      ["abc", 0],
      ["def", 1],
      ["ghi", 2],
      ["more", 3],
    ]);
    assert.equal(chain.lengthBytes, 0);
    chain.release();
  });

  test("for await that is left early leaves the rest in the chain", async () => {
    const { chain, freed } = chainOf("abc", "def", "ghi");
    for await (const bytes of chain) if (bytes.toString() === "def") break;
    assert.deepEqual(freed, ["abc", "def"]);
    assert.equal(chain.toBuffer().toString(), "ghi");
    chain.release();
    assert.deepEqual(freed, ["abc", "def", "ghi"]);
  });

  test("for await over a chain that is released meanwhile throws, and lets go of what it has", async () => {
    const { chain, freed } = chainOf("abc", "def");
    const reading = (async () => {
      for await (const bytes of chain) if (bytes.length === 3) chain.release();
    })();
    await assert.rejects(reading, withCode("ERR_JUMBO_CHAIN_RELEASED"));
    assert.deepEqual(freed, ["def", "abc"]);
  });

  test("toReadable streams copies, lets segments go as they are read, and leaves the chain empty", async () => {
    const texts = Array.from({ length: 50 }, (_, i) => `${i}`.repeat(3000));
    const { chain, freed } = chainOf(...texts);
    const stream = chain.toReadable();
    assert.equal(chain.lengthBytes, 0);
    chain.append(Buffer.from("ours"));
    const chunks: Buffer[] = [];
    let freedAtFirst = -1;
    await pipeline(
      stream,
      new Writable({
        highWaterMark: 1,
        write(chunk: Buffer, _encoding, done) {
          if (chunks.push(chunk) === 1) freedAtFirst = freed.length;
          setImmediate(done);
        },
      }),
    );
    assert.equal(Buffer.concat(chunks).toString(), texts.join(""), "also after the storages were let go");
    assert(freedAtFirst < 50, "not all at once");
    assert.deepEqual(freed, texts);
    assert.equal(chain.toBuffer().toString(), "ours");
    chain.release();
  });

  test("a stream that is destroyed early lets everything go; an error of a free routine is its error", async () => {
    const { chain, freed } = chainOf("abc", "def");
    chain.toReadable().destroy();
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(freed, ["abc", "def"]);

    const mbuf = Mbuf.external(Buffer.from("x"), () => {
      throw new Error("cannot be freed");
    });
    chain.append(mbuf);
    mbuf.release();
    const stream = chain.toReadable();
    const failed = once(stream, "error");
    stream.resume();
    assert.match(String((await failed)[0]), /cannot be freed/);
    chain.release();
  });
});

test("what a receiver lends is kept in a chain, fields are read from it, and what was read is given back", async (t) => {
  const pool = poolFor(t, { pageSizeBytes: 4096 });
  const bytesInAll = 300_000;
  using chain = new MbufChain();
  const { near, far } = await socketPair(t, (socket) => {
    receive(socket, { pool }, (m) => chain.append(m));
  });
  const ended = once(near, "end");
  far.end(pattern(0, bytesInAll));
  await ended;
  assert.equal(chain.lengthBytes, bytesInAll);
  assert(isPattern(chain.toBuffer(), 0));
  const inUse = pool.stats().inUse;
  assert(inUse >= bytesInAll / 4096);
  const cursor = chain.cursor();
  const expected = pattern(0, bytesInAll);
  for (let at = 0; at < 200_000; at += 4) {
    assert.equal(cursor.readUInt32BE(), expected.readUInt32BE(at));
    if (at % 40_000 !== 0) continue;
    chain.trimStart(cursor.offset);
    assert.equal(cursor.offset, 0);
  }
  assert(pool.stats().inUse < inUse / 2, "pages that were read are back");
});

test("messages with their length in front, as the README takes them from a socket", async (t) => {
  const pool = poolFor(t, { pageSizeBytes: 4096 });
  using chain = new MbufChain();
  const cursor = chain.cursor();
  const messages: MbufChain[] = [];
  const { near, far } = await socketPair(t, (socket) => {
    receive(socket, { pool }, (m) => {
      chain.append(m);
      while (cursor.remainingBytes >= 4) {
        const length = cursor.readUInt32BE();
        if (cursor.remainingBytes < length) {
          cursor.seek(0);
          break;
        }
        messages.push(chain.copyRange(cursor.offset, length));
        chain.trimStart(cursor.skip(length).offset);
      }
    });
  });
  const lengths = Array.from({ length: 200 }, (_, i) => (i * 337) % 5000);
  const ended = once(near, "end");
  for (const [i, length] of lengths.entries()) {
    const header = Buffer.alloc(4);
    header.writeUInt32BE(length);
    far.write(Buffer.concat([header, pattern(i, length)]));
  }
  far.end();
  await ended;
  assert.equal(chain.lengthBytes, 0);
  assert.deepEqual(
    messages.map((message) => message.lengthBytes),
    lengths,
  );
  for (const [i, message] of messages.entries()) {
    assert(isPattern(message.toBuffer(), i));
    message.release();
  }
});

/**
 * Shows: what a sender has the kernel cut (UDP_SEGMENT), and the kernel hands over uncut (UDP_GRO), arrives as the datagrams it was meant to be: with every
 * segment size, with a short last one, mixed with plain datagrams, held one by one. Where GRO is off it says why, and the same datagrams arrive.
 */
import assert from "node:assert/strict";
import type { Socket } from "node:dgram";
import { test } from "node:test";
import type { HeldDatagram, UdpBatch } from "../../src/udp/index.ts";
import { poolFor, until } from "../support/at-rest.ts";
import { isPattern, pattern } from "../support/pattern.ts";
import { Random } from "../support/random.ts";
import { noCalls, receiverOn, segment, senderTo, withEngines } from "../support/udp.ts";

const PAGE_BYTES = 65_536;
const MESSAGE_BYTES_MAX = 65_507;
/** UDP_MAX_SEGMENTS of every kernel; 128 since Linux 6.9. */
const SEGMENTS = 64;

/** How long the datagrams are that a message of `length` bytes is cut into. */
function cut(length: number, segmentBytes: number): number[] {
  const lengths: number[] = [];
  for (let rest = length; rest > 0; rest -= segmentBytes) lengths.push(Math.min(rest, segmentBytes));
  return lengths;
}

/** Takes a stream of pattern bytes in datagrams: every byte is looked at. */
class Intake {
  bytes = 0;
  readonly lengths: number[] = [];

  readonly take = (batch: UdpBatch): void => {
    let count = 0;
    for (const { bytes, length, truncated } of batch) {
      assert.equal(truncated, false);
      assert.equal(bytes.length, length);
      assert.ok(isPattern(bytes, this.bytes), `datagram ${this.lengths.length} of ${length} bytes`);
      this.lengths.push(length);
      this.bytes += length;
      count++;
    }
    assert.equal(count, batch.length);
  };

  /** Sends the stream's next `length` bytes as one message and waits for them. */
  async next(sender: Socket, length: number, segmentBytes: number): Promise<void> {
    const end = this.bytes + length;
    segment(sender, segmentBytes);
    sender.send(pattern(this.bytes, length));
    await until(
      () => this.bytes >= end,
      () => `${this.bytes} of ${end} bytes, ${segmentBytes} each`,
    );
    assert.equal(this.bytes, end);
  }
}

withEngines(
  "messages of every segment size, with a short last one and without",
  async (t, engine) => {
    const pool = poolFor(t, { pageSizeBytes: PAGE_BYTES });
    const intake = new Intake();
    const receiver = await receiverOn(t, { pool, engine }, intake.take);
    const sender = await senderTo(t, receiver);
    const expected: number[] = [];
    const random = new Random(1);
    const sizes = [1, 2, 3, 99, 100, 512, 1023, 1024, 1400, 1472, 2047, 2048, 2049, 4096, 8192, 20_000, 32_000, 32_753];
    for (let i = 0; i < 40; i++) sizes.push(random.int(1, 3000));
    let supers = 0;
    for (const size of sizes) {
      const most = Math.min(SEGMENTS, Math.floor(MESSAGE_BYTES_MAX / size));
      const whole = size * random.int(1, most);
      const withRest = Math.min(size * (most - 1) + random.int(1, size), MESSAGE_BYTES_MAX);
      for (const length of [whole, withRest]) {
        await intake.next(sender, length, size);
        expected.push(...cut(length, size));
        if (length > size) supers++;
      }
    }
    assert.deepEqual(intake.lengths, expected);
    const { gro, datagrams, bytes, reads } = receiver.stats();
    assert.deepEqual([datagrams, bytes], [expected.length, intake.bytes]);
    if (engine === "dgram") return assert.deepEqual(gro, { isOn: false, reason: gro.reason, superDatagrams: 0 });
    assert.deepEqual([gro.isOn, gro.reason], [true, null]);
    // Not all: the kernel itself cuts what is more than 64 KiB with its headers.
    assert.ok(gro.superDatagrams <= supers && gro.superDatagrams > supers * 0.9, `${gro.superDatagrams} of ${supers}`);
    assert.ok(reads < datagrams / 5, `${reads} reads for ${datagrams} datagrams`);
  },
  { skip: noCalls },
);

withEngines(
  "mixed with plain datagrams, all there at once: in order",
  async (t, engine) => {
    const pool = poolFor(t, { pageSizeBytes: PAGE_BYTES });
    const intake = new Intake();
    const receiver = await receiverOn(t, { pool, engine }, intake.take);
    const sender = await senderTo(t, receiver);
    const random = new Random(2);
    let sent = 0;
    const expected: number[] = [];
    for (let round = 0; round < 60; round++) {
      for (let i = 0; i < 8; i++) {
        const size = random.chance(0.5) ? 0 : random.int(1, 1000);
        const length = size === 0 ? random.int(0, 3000) : random.int(1, Math.min(size * 20, 8000));
        segment(sender, size);
        sender.send(pattern(sent, length));
        sent += length;
        expected.push(...(size === 0 || length === 0 ? [length] : cut(length, size)));
      }
      await until(() => intake.bytes === sent && intake.lengths.length === expected.length, "this round");
    }
    assert.deepEqual(intake.lengths, expected);
    if (engine === "recvmmsg") assert.ok(receiver.stats().gro.superDatagrams > 100, "or this has tested little");
  },
  { skip: noCalls },
);

withEngines(
  "each datagram of a message can be held by itself; together they pin its page",
  async (t, engine) => {
    const pool = poolFor(t, { pageSizeBytes: PAGE_BYTES });
    const kept: HeldDatagram[] = [];
    const receiver = await receiverOn(t, { pool, engine, gro: true }, (batch) => {
      for (const datagram of batch) kept.push(datagram.hold());
    });
    const sender = await senderTo(t, receiver);
    segment(sender, 1000);
    sender.send(pattern(0, 40_500));
    await until(() => kept.length === 41, "all of it");
    const { held: pinned } = receiver.stats();
    assert.deepEqual(pinned, { datagrams: 41, bytes: 40_500, pages: 1 });
    for (const [index, { bytes }] of kept.entries()) assert.ok(isPattern(bytes, index * 1000));
    for (const one of kept.splice(1)) one.release();
    assert.deepEqual(receiver.stats().held, { datagrams: 1, bytes: 1000, pages: 1 });
    assert.equal(pool.stats().inUse, 1, "one datagram pins the page");
    assert.ok(isPattern(kept[0]?.bytes ?? Buffer.alloc(1), 0));
    kept[0]?.release();
    assert.equal(pool.stats().inUse, 0);
  },
  { skip: noCalls },
);

withEngines(
  "more datagrams in a message than views are kept for",
  async (t, engine) => {
    const pool = poolFor(t, { pageSizeBytes: PAGE_BYTES });
    const intake = new Intake();
    const receiver = await receiverOn(t, { pool, engine }, intake.take);
    const sender = await senderTo(t, receiver);
    segment(sender, 10);
    const error = await new Promise<Error | null>((resolve) => sender.send(pattern(0, 1280), resolve));
    if (error !== null) return t.skip(`this kernel cuts into ${SEGMENTS} at most: ${error.message}`);
    await until(() => intake.bytes === 1280, "all of it");
    assert.deepEqual(intake.lengths, cut(1280, 10));
    await intake.next(sender, 1275, 10);
  },
  { skip: noCalls },
);

for (const [what, options, pageSizeBytes, reason] of [
  ["not wanted", { gro: false }, PAGE_BYTES, null],
  ["with pages of 4 KiB", {}, 4096, /pages are shorter than 65536/],
  ["with pages of 16 KiB", { gro: true }, 16_384, /pages are shorter than 65536/],
] as const) {
  test(`recvmmsg: GRO ${what} is off; the datagrams arrive, cut by the kernel`, { skip: noCalls }, async (t) => {
    const pool = poolFor(t, { pageSizeBytes });
    const intake = new Intake();
    const receiver = await receiverOn(t, { pool, engine: "recvmmsg", ...options }, intake.take);
    const sender = await senderTo(t, receiver);
    await intake.next(sender, 30_500, 1000);
    assert.deepEqual(intake.lengths, cut(30_500, 1000));
    const { gro } = receiver.stats();
    assert.deepEqual([gro.isOn, gro.superDatagrams], [false, 0]);
    if (reason === null) assert.equal(gro.reason, null);
    else assert.match(gro.reason ?? "", reason);
  });
}

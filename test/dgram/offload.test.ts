/**
 * Shows: what a sender hands to the kernel in one piece, to be cut there (UDP_SEGMENT), arrives as the datagrams it is meant to be, wherever
 * it is read: the kernel may pass such a piece on uncut to a socket that has asked for it, and jumbo's sockets have.
 */
import assert from "node:assert/strict";
import { fork } from "node:child_process";
import type { Socket } from "node:dgram";
import { once } from "node:events";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { loadLibc } from "../../src/os/libc.ts";
import { handleOf } from "../../src/udp/node-internals.ts";
import { until } from "../support/at-rest.ts";
import { RECEIVING, statsOf } from "./modules.ts";
import { bound, collect, drained, numberOf, numbered, senderTo } from "./sockets.ts";

const SOL_UDP = 17;
const UDP_SEGMENT = 103;
const SEGMENT = 1000;
/** 40 datagrams of 1,000 bytes and one of 500. */
const COUNT = 41;
const PIECE = Buffer.concat(Array.from({ length: COUNT }, (_, i) => numbered(i, i === COUNT - 1 ? 500 : SEGMENT)));

/** The length of a segment, and of a piece: one byte each, a whole number of segments, one byte less, one more, one segment, nothing. */
const SHAPES = [
  [1, 64],
  [1400, 1400 * 40],
  [500, 4999],
  [500, 5001],
  [1000, 1000],
  [1000, 7],
  [1000, 0],
] as const;

const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

/** Why the kernel cannot be asked to cut here, or false. */
const cannotCut = whyNotCut();

function whyNotCut(): string | false {
  const found = loadLibc();
  return found.libc === null ? `UDP_SEGMENT takes a system call: ${found.reason}` : false;
}

/** A sender to `receiver` whose messages the kernel cuts into segments. */
async function cuttingSenderTo(t: TestContext, receiver: Socket, segment: number = SEGMENT): Promise<Socket> {
  const sender = await senderTo(t, receiver);
  const { libc } = loadLibc();
  const setsockopt = libc?.func("int setsockopt(int fd, int level, int name, void *value, unsigned int length)");
  const fd = handleOf(sender)?.fd ?? -1;
  const value = new Int32Array(new ArrayBuffer(4096), 0, 1); // off V8's heap
  value[0] = segment;
  assert.equal(setsockopt?.(fd, SOL_UDP, UDP_SEGMENT, value, 4), 0, "the kernel knows UDP_SEGMENT");
  return sender;
}

for (const dgram of RECEIVING) {
  const { name } = dgram;

  test(`${name}: a piece arrives as the datagrams it is cut into`, { skip: cannotCut }, async (t) => {
    const socket = await bound(t, dgram, { type: "udp4", recvBufferSize: 1_000_000 });
    const sender = await cuttingSenderTo(t, socket);
    const messages = collect(socket, COUNT * 3);
    for (let i = 0; i < 3; i++) sender.send(PIECE);
    (await messages).forEach(({ bytes, rinfo }, i) => {
      const index = i % COUNT;
      assert.deepEqual(bytes, numbered(index, index === COUNT - 1 ? 500 : SEGMENT));
      assert.equal(rinfo.size, bytes.length);
    });
    await drained(socket);
    const stats = statsOf(socket);
    if (stats?.gro.isOn === true) assert.ok(stats.gro.superDatagrams > 0, "or this has tested nothing");
    if (stats?.engine === "recvmmsg") assert.equal(stats.datagrams, COUNT * 3);
  });

  test(
    `${name}: pieces of every shape, with plain and empty datagrams between them`,
    { skip: cannotCut },
    async (t) => {
      const socket = await bound(t, dgram, { type: "udp4", recvBufferSize: 1_000_000 });
      const plain = await senderTo(t, socket);
      const expected: Buffer[] = [];
      const sends: (() => void)[] = [];
      for (const [segment, length] of SHAPES) {
        const sender = await cuttingSenderTo(t, socket, segment);
        const piece = Buffer.from(Array.from({ length }, (_, i) => (i * 7 + segment) & 0xff));
        for (let start = 0; start === 0 || start < length; start += segment)
          expected.push(piece.subarray(start, start + segment));
        expected.push(Buffer.from("plain"), Buffer.alloc(0));
        sends.push(
          () => sender.send(piece),
          () => plain.send("plain"),
          () => plain.send(""),
        );
      }
      const messages = collect(socket, expected.length);
      for (const send of sends) send();
      for (const [i, { bytes }] of (await messages).entries()) assert.deepEqual(bytes, expected[i], `message ${i}`);
    },
  );

  test(`${name}: once, awaited again and again, sees every datagram of a piece`, { skip: cannotCut }, async (t) => {
    const socket = await bound(t, dgram);
    const sender = await cuttingSenderTo(t, socket);
    const all = (async () => {
      const numbers: number[] = [];
      for (let i = 0; i < COUNT; i++) {
        const [message] = (await once(socket, "message")) as [Buffer];
        numbers.push(numberOf(message));
      }
      return numbers;
    })();
    sender.send(PIECE);
    assert.deepEqual(await all, upTo(COUNT));
  });

  test(`${name}: closed in the middle of a piece`, { skip: cannotCut }, async (t) => {
    const socket = await bound(t, dgram);
    const numbers: number[] = [];
    socket.on("message", (message) => {
      if (numbers.push(numberOf(message)) === 10) socket.close();
    });
    (await cuttingSenderTo(t, socket)).send(PIECE);
    await once(socket, "close");
    assert.deepEqual(numbers, upTo(10));
  });

  test(
    `${name}: a socket that is passed to another process is read there as Node reads`,
    { skip: cannotCut },
    async (t) => {
      const socket = await bound(t, dgram, { type: "udp4", gro: false }); // what Node in the other process would not cut must come cut
      const plain = await senderTo(t, socket);
      const cutting = await cuttingSenderTo(t, socket);
      const child = fork(new URL("./handover-child.js", import.meta.url), { execArgv: [] });
      t.after(() => child.kill());
      child.send("take it", socket);
      await once(child, "message");
      socket.close();
      const lengths: number[] = [];
      child.on("message", (length: number) => lengths.push(length));
      plain.send("plain");
      cutting.send(PIECE);
      const isAll = (): boolean => lengths.reduce((sum, length) => sum + length, 0) === 5 + PIECE.length;
      await until(isAll, () => `the other process has received ${lengths.join()}`);
      assert.deepEqual(lengths, [5, ...upTo(COUNT).map((i) => (i === COUNT - 1 ? 500 : SEGMENT))]);
    },
  );
}

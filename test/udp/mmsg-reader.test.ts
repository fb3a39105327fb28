/**
 * Shows: how the Linux engine divides its time, with system calls that this test answers: it waits a little for more when datagrams come fast; errors are told and are not the end, also endless ones; what a kernel does not know is 0.
 */
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import type { Socket } from "node:dgram";
import { once } from "node:events";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import type { UdpCalls } from "../../src/os/udp-calls.ts";
import { MmsgReader } from "../../src/udp/mmsg-reader.ts";
import { poolFor, until } from "../support/at-rest.ts";
import { noCalls, udpCalls } from "../support/udp.ts";

const skip = noCalls;
const ECONNREFUSED = 111;
const ENOMEM = 12;
const EINTR = 4;

/** A reader of a socket, what its sink was told, and how to send to it at once. */
class Bench {
  readonly socket: Socket;
  readonly reader: MmsgReader;
  readonly batches: number[] = [];
  readonly failures: string[] = [];
  readonly #sender: Socket;

  static async make(t: TestContext, calls: Partial<UdpCalls>, coalesceMicroseconds: number): Promise<Bench> {
    const socket = createSocket("udp4").bind(0, "127.0.0.1");
    await once(socket, "listening");
    const sender = createSocket("udp4");
    sender.connect(socket.address().port, "127.0.0.1");
    await once(sender, "connect");
    const bench = new Bench(t, socket, sender, calls, coalesceMicroseconds);
    t.after(() => {
      socket.close();
      sender.close();
    });
    return bench;
  }

  private constructor(t: TestContext, socket: Socket, sender: Socket, calls: Partial<UdpCalls>, microseconds: number) {
    this.socket = socket;
    this.#sender = sender;
    this.reader = new MmsgReader(socket, {
      pool: poolFor(t, { pageSizeBytes: 65_536, pagesMax: 256 }),
      calls: { ...udpCalls(), ...calls },
      coalesceMicroseconds: microseconds,
      sink: {
        take: (rows) => this.batches.push(rows.datagramCount) > 0,
        isReady: () => true,
        failed: (error: NodeJS.ErrnoException) => void this.failures.push(`${error.syscall} ${error.code}`),
        waitForPages: () => assert.fail("there are pages"),
        connecting: () => {},
        broke: (error) => assert.fail(String(error)),
      },
    });
    this.reader.start(true);
  }

  send(count: number, length = 10): void {
    for (let i = 0; i < count; i++) this.#sender.send(Buffer.alloc(length));
  }

  get datagrams(): number {
    return this.reader.counts.datagrams;
  }

  /** Sends, and waits for the turn that takes it. */
  async round(count: number, length = 10): Promise<void> {
    const end = this.datagrams + count;
    this.send(count, length);
    await until(() => this.datagrams >= end, "taken");
    await turn();
  }
}

test("under load it sleeps when it runs dry, and what came meanwhile is read in the same turn", { skip }, async (t) => {
  const slept: number[] = [];
  const sleep = (microseconds: number): void => {
    if (slept.push(microseconds) <= 3) bench.send(7);
  };
  const bench: Bench = await Bench.make(t, { sleep }, 70);
  t.mock.method(performance, "now", () => 0); // no turn takes long, however busy the machine is
  await bench.round(10);
  assert.deepEqual(slept, [], "not in the first turn: who knows whether there is load");
  await bench.round(10);
  assert.deepEqual(slept, [70, 70, 70, 70]);
  assert.deepEqual([bench.datagrams, bench.reader.counts.wakeups], [10 + 10 + 3 * 7, 2]);
});

test("one by one, or told not to, it never sleeps", { skip }, async (t) => {
  for (const [coalesceMicroseconds, count] of [
    [70, 1],
    [70, 3],
    [0, 20],
  ] as const) {
    let sleeps = 0;
    const bench = await Bench.make(t, { sleep: () => void sleeps++ }, coalesceMicroseconds);
    for (let round = 0; round < 20; round++) await bench.round(count);
    assert.equal(sleeps, 0, `${coalesceMicroseconds} µs, ${count} at a time`);
  }
});

test("an error is told, and what is behind it is read in the same turn", { skip }, async (t) => {
  const answers = [-ECONNREFUSED, -ENOMEM];
  const receive: UdpCalls["receive"] = (...args) => answers.pop() ?? udpCalls().receive(...args);
  const bench = await Bench.make(t, { receive }, 0);
  await bench.round(3);
  assert.deepEqual(bench.failures, ["recvmmsg ENOMEM", "recvmmsg ECONNREFUSED"]);
  assert.equal(bench.reader.counts.wakeups, 1);
  assert.equal(bench.datagrams, 3);
});

test("errors without end: told, a bounded number a turn; timers fire, and it can be closed", { skip }, async (t) => {
  const bench = await Bench.make(t, { receive: () => -ENOMEM }, 0);
  bench.send(1);
  const timer = new Promise((resolve) => setTimeout(resolve, 20));
  await until(() => bench.reader.counts.wakeups >= 3, "it is woken again");
  await timer;
  const { wakeups } = bench.reader.counts;
  assert.ok(bench.failures.length <= wakeups * 512, `${bench.failures.length} in ${wakeups} turns`);
  bench.reader.close();
  const before = bench.failures.length;
  await turn();
  await turn();
  assert.equal(bench.failures.length, before);
});

test("a call that was interrupted is made again", { skip }, async (t) => {
  let interrupted = 0;
  const receive: UdpCalls["receive"] = (...args) => (interrupted++ < 3 ? -EINTR : udpCalls().receive(...args));
  const bench = await Bench.make(t, { receive }, 0);
  await bench.round(5);
  assert.deepEqual([bench.datagrams, bench.failures], [5, []]);
});

test("drops that the kernel does not tell are 0; what it told last is remembered", { skip }, async (t) => {
  const untold = await Bench.make(t, { getOption: () => 32 }, 0); // a kernel before 4.10 knows fewer numbers
  assert.equal(untold.reader.kernelDrops(), 0);
  let drops = 7;
  const getOption: UdpCalls["getOption"] = (_fd, _level, _name, value) => {
    new Uint32Array(value.buffer, value.byteOffset, 9)[8] = drops;
    return 36;
  };
  const told = await Bench.make(t, { getOption }, 0);
  assert.equal(told.reader.kernelDrops(), 7);
  drops = 9;
  told.reader.close();
  drops = 11;
  assert.equal(told.reader.kernelDrops(), 9, "as it was when it was closed");
});

test("a socket without a descriptor cannot be read from", { skip }, (t) => {
  const socket = createSocket("udp4");
  t.after(() => socket.close());
  const sink = {
    take: () => true,
    isReady: () => true,
    failed: () => {},
    waitForPages: () => {},
    connecting: () => {},
    broke: () => {},
  };
  const parts = { pool: poolFor(t), calls: udpCalls(), coalesceMicroseconds: 0, sink };
  assert.throws(() => new MmsgReader(socket, parts), /no descriptor/);
});

/**
 * Shows: long bytes are sent as datagrams of the size that was asked for, the last one shorter, cut by the kernel where it can and by us where it cannot; and
 * whatever the kernel answers (full, interrupted, in part, unable to cut) the same datagrams arrive, and are counted right.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createSocket } from "node:dgram";
import type { Socket } from "node:dgram";
import { once } from "node:events";
import { test } from "node:test";
import type { TestContext } from "node:test";
import type { UdpCalls } from "../../src/os/udp-calls.ts";
import { Sender } from "../../src/udp/sender.ts";
import { poolFor, until } from "../support/at-rest.ts";
import { isPattern, pattern } from "../support/pattern.ts";
import { Random } from "../support/random.ts";
import { said } from "../support/udp-child.ts";
import {
  ENGINES,
  noCalls,
  numberOf,
  numbered,
  portOf,
  receiverOn,
  skipFor,
  udpCalls,
  upTo,
  withEngines,
} from "../support/udp.ts";

/** How long the datagrams are that `length` bytes are cut into. */
function cut(length: number, segmentBytes: number): number[] {
  const lengths: number[] = [];
  for (let rest = length; rest > 0; rest -= segmentBytes) lengths.push(Math.min(rest, segmentBytes));
  return length === 0 ? [0] : lengths;
}

for (const receiverEngine of ENGINES)
  withEngines(
    `to ${receiverEngine}: every size`,
    async (t, engine) => {
      const pool = poolFor(t, { pageSizeBytes: 65_536 });
      let bytes = 0;
      const lengths: number[] = [];
      const receiver = await receiverOn(t, { pool, engine: receiverEngine }, (batch) => {
        for (const datagram of batch) {
          assert.ok(isPattern(datagram.bytes, bytes));
          bytes += datagram.length;
          lengths.push(datagram.length);
        }
      });
      const sender = await receiverOn(t, { pool, engine }, () => {});
      const to = { address: "127.0.0.1", port: portOf(receiver) };
      const random = new Random(4);
      const expected: number[] = [];
      const sizes: [length: number, segmentBytes: number][] = [
        [0, 100],
        [1, 1],
        [100, 100],
        [99, 100],
        [101, 100],
        [64, 1],
        [65, 1], // more than the kernel cuts at a time
        [300, 2],
        [65_507, 1472],
        [65_507, 65_507],
        [65_507, 30_000],
        [100_000, 1400], // more than one message of the kernel's
        [40_000, 500],
      ];
      for (let i = 0; i < 20; i++) sizes.push([random.int(0, 30_000), random.int(300, 3000)]);
      for (const [length, segmentBytes] of sizes) {
        await sender.sendBatch([{ bytes: pattern(bytes, length), ...to }], { segmentBytes });
        expected.push(...cut(length, segmentBytes));
        await until(
          () => lengths.length === expected.length,
          () => `${length} bytes in segments of ${segmentBytes}: ${lengths.length} of ${expected.length}`,
        );
      }
      assert.deepEqual(lengths, expected);
      const { sent } = sender.stats();
      assert.deepEqual([sent.datagrams, sent.bytes, sent.errors], [expected.length, bytes, 0]);
      if (engine === "recvmmsg") {
        assert.equal(sent.viaNode, 0);
        assert.ok(
          sent.systemCalls < expected.length / 10,
          `${sent.systemCalls} calls for ${expected.length} datagrams`,
        );
      } else assert.equal(sent.viaNode, expected.length);
    },
    { skip: skipFor(receiverEngine) },
  );

withEngines("several at a time, each with its own last one", async (t, engine) => {
  const pool = poolFor(t, { pageSizeBytes: 65_536 });
  const lengths: number[] = [];
  const receiver = await receiverOn(t, { pool }, (batch) => {
    for (const { length } of batch) lengths.push(length);
  });
  const sender = await receiverOn(t, { pool, engine }, () => {});
  const to = { address: "127.0.0.1", port: portOf(receiver) };
  const sizes = [950, 100, 1001, 20, 0, 3000, 2048, 2049];
  await sender.sendBatch(
    sizes.map((length) => ({ bytes: pattern(0, length), ...to })),
    { segmentBytes: 100 },
  );
  const expected = sizes.flatMap((length) => cut(length, 100));
  await until(() => lengths.length === expected.length, "all of them");
  assert.deepEqual(lengths, expected);
});

/** A sender whose system calls are answered by the test, and what a socket of Node's hears. */
async function bench(
  t: TestContext,
  send: (real: UdpCalls["send"]) => UdpCalls["send"],
): Promise<{ sender: Sender; heard: Buffer[]; to: { address: string; port: number } }> {
  const sockets: Socket[] = [];
  for (let i = 0; i < 2; i++) {
    const socket = createSocket({ type: "udp4", recvBufferSize: 1_000_000 }).bind(0, "127.0.0.1");
    t.after(() => socket.close());
    await once(socket, "listening");
    sockets.push(socket);
  }
  const [own, other] = sockets as [Socket, Socket]; // two were made
  const heard: Buffer[] = [];
  other.on("message", (bytes) => heard.push(bytes));
  const sender = new Sender(own, { ...udpCalls(), send: send(udpCalls().send) }, false);
  return { sender, heard, to: { address: "127.0.0.1", port: other.address().port } };
}

const [EINTR, EIO, EAGAIN, EINVAL, EMSGSIZE] = [4, 5, 11, 22, 90];

for (const [what, errno] of [
  ["a segment is longer than the route takes", EMSGSIZE],
  ["the same, as older kernels say it", EINVAL],
  ["there is no room", EAGAIN],
] as const)
  test(`${what}: it is cut by us, and sent through Node`, { skip: noCalls }, async (t) => {
    const { sender, heard, to } = await bench(t, () => () => -errno);
    for (let round = 0; round < 2; round++) {
      await sender.send([{ bytes: pattern(0, 2950), ...to }], { segmentBytes: 1000 });
      await until(() => heard.length === 3, "they arrive");
      assert.deepEqual(
        heard.map(({ length }) => length),
        [1000, 1000, 950],
      );
      assert.ok(isPattern(Buffer.concat(heard.splice(0)), 0));
    }
    const { datagrams, bytes, viaNode, errors } = sender.stats();
    assert.deepEqual([datagrams, bytes, viaNode, errors], [6, 5900, 6, 0]);
  });

test("the device cannot cut: it is not asked to again", { skip: noCalls }, async (t) => {
  const counts: number[] = [];
  const { sender, heard, to } = await bench(t, (real) => (fd, vector, count) => {
    return counts.push(count) === 1 ? -EIO : real(fd, vector, count);
  });
  for (let round = 0; round < 2; round++) {
    await sender.send([{ bytes: pattern(0, 2950), ...to }], { segmentBytes: 1000 });
    await until(() => heard.length === 3, "they arrive");
    assert.ok(isPattern(Buffer.concat(heard.splice(0)), 0));
  }
  const { datagrams, viaNode, errors, systemCalls } = sender.stats();
  assert.deepEqual([datagrams, viaNode, errors, systemCalls], [6, 3, 0, 2]);
  assert.deepEqual(counts, [1, 3], "one that it was to cut; then three, cut by us");
});

test("interrupted, or taken in part: it goes on where the kernel left off", { skip: noCalls }, async (t) => {
  let calls = 0;
  const { sender, heard, to } = await bench(
    t,
    (real) => (fd, vector, count) => (calls++ % 3 === 2 ? -EINTR : real(fd, vector, Math.min(count, 1 + (calls % 5)))),
  );
  await sender.send(upTo(200).map((index) => ({ bytes: numbered(index), ...to })));
  await until(() => heard.length === 200, "they arrive");
  assert.deepEqual(heard.map(numberOf), upTo(200));
  const { datagrams, viaNode, errors } = sender.stats();
  assert.deepEqual([datagrams, viaNode, errors], [200, 0, 0]);
});

test("full after some of it: the rest goes through Node", { skip: noCalls }, async (t) => {
  let calls = 0;
  const { sender, heard, to } = await bench(
    t,
    (real) => (fd, vector, count) => (calls++ === 0 ? real(fd, vector, Math.min(count, 10)) : -EAGAIN),
  );
  await sender.send(upTo(100).map((index) => ({ bytes: numbered(index), ...to })));
  await until(() => heard.length === 100, "they arrive");
  assert.deepEqual(
    heard.map(numberOf).toSorted((a, b) => a - b),
    upTo(100),
  );
  const { datagrams, viaNode, errors } = sender.stats();
  assert.deepEqual([datagrams, viaNode, errors], [100, 90, 0]);
});

for (const [what, errno] of [
  ["there is no room", EAGAIN],
  ["it has to be cut by us", EMSGSIZE],
] as const)
  test(`${what}: what goes through Node is what it was when it was taken`, { skip: noCalls }, async (t) => {
    const { sender, heard, to } = await bench(t, () => () => -errno);
    const scratch = Buffer.alloc(100);
    function* fromOneBuffer(): Generator<{ bytes: Buffer; address: string; port: number }> {
      for (const index of upTo(10)) yield { bytes: scratch.fill(index), ...to };
    }
    await sender.send(fromOneBuffer(), { segmentBytes: 60 });
    await until(() => heard.length === 20, "they arrive");
    assert.deepEqual(Buffer.concat(heard), Buffer.concat(upTo(10).map((index) => Buffer.alloc(100, index))));
  });

test("what the kernel is given to cut is never so long that it is cut on its way", { skip: noCalls }, async (t) => {
  const pool = poolFor(t, { pageSizeBytes: 65_536 });
  let count = 0;
  const receiver = await receiverOn(t, { pool }, (batch) => void (count += batch.length));
  const sender = await receiverOn(t, { pool }, () => {});
  const to = { address: "127.0.0.1", port: portOf(receiver) };
  // As many as IPv4 could carry, with nothing left over; cut on their way they would arrive one by one.
  for (const [segmentBytes, segments] of [
    [1310, 50],
    [1191, 55],
    [1213, 54],
  ] as const) {
    count = 0;
    const { superDatagrams } = receiver.stats().gro;
    await sender.sendBatch([{ bytes: pattern(0, segmentBytes * segments), ...to }], { segmentBytes });
    await until(() => count === segments, "they arrive");
    assert.ok(receiver.stats().gro.superDatagrams > superDatagrams, `${segments} of ${segmentBytes} came together`);
  }
});

/** A network of its own takes rights that not everybody has. */
const noNamespaces = ((): string | false => {
  try {
    execFileSync("unshare", ["--net", "ip", "link", "set", "lo", "up", "mtu", "1500"], { stdio: "pipe" });
    return false;
  } catch (error) {
    return `no network namespace can be made here: ${String(error).split("\n", 1)[0]}`;
  }
})();

test(
  "over a route of 1,500 bytes: segments of 1,400 are cut by the kernel, of 4,000 by us",
  { skip: noCalls || noNamespaces },
  async () => {
    const script = `
    const lengths = [];
    const pool = new JumboPool({ pageSizeBytes: 65536 });
    const options = { pool, address: "127.0.0.1" };
    const receiver = await bindUdp(options, (batch) => { for (const { length } of batch) lengths.push(length); });
    const sender = await bindUdp(options, () => {});
    const to = receiver.address();
    const send = (segmentBytes) => sender.sendBatch([{ bytes: Buffer.alloc(10_000), ...to }], { segmentBytes });
    await send(1400); await send(4000); await send(1400);
    while (lengths.length < 19) await turn();
    say({ lengths, viaNode: sender.stats().sent.viaNode, errors: sender.stats().sent.errors });
    await receiver.close(); await sender.close();`;
    const short = [1400, 1400, 1400, 1400, 1400, 1400, 1400, 200];
    const expected = { lengths: [...short, 4000, 4000, 2000, ...short], viaNode: 3, errors: 0 };
    assert.deepEqual(
      await said(script, {
        command: ["unshare", "--net", "sh", "-c", 'ip link set lo up mtu 1500 && exec "$@"', "sh"],
      }),
      [expected],
    );
  },
);

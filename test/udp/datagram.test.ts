/**
 * Shows: every datagram arrives once, in order, with exactly its bytes, whatever its length, together with who sent it; in
 * batches that can be iterated as often as one likes. With both engines.
 */
import assert from "node:assert/strict";
import type { Socket } from "node:dgram";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { receiveUdp } from "../../src/udp/index.ts";
import type { UdpBatch, UdpDatagram, UdpEngine } from "../../src/udp/index.ts";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { poolFor, until } from "../support/at-rest.ts";
import { isPattern, pattern } from "../support/pattern.ts";
import {
  noIPv6,
  numberOf,
  numbered,
  numbersOf,
  receiverOn,
  senderTo,
  setOption,
  upTo,
  withEngines,
} from "../support/udp.ts";

const PAGE_BYTES = 65_536;
/** Around what fits a slot, a page, and a datagram. */
const LENGTHS = [0, 1, 2, 100, 1400, 2047, 2048, 2049, 4095, 4096, 4097, 9000, 32_768, 65_506, 65_507] as const;

withEngines("datagrams of every length, one at a time", async (t, engine) => {
  const pool = poolFor(t, { pageSizeBytes: PAGE_BYTES });
  const seen: number[] = [];
  const receiver = await receiverOn(t, { pool, engine }, (batch) => {
    for (const { bytes, length, fullLength, truncated } of batch) {
      assert.ok(isPattern(bytes, seen.length), `${length} bytes`);
      assert.deepEqual([bytes.length, fullLength, truncated], [length, length, false]);
      seen.push(length);
    }
  });
  const sender = await senderTo(t, receiver);
  for (const [index, length] of LENGTHS.entries()) {
    sender.send(pattern(index, length));
    await until(() => seen.length === index + 1, `${length} bytes arrive`);
  }
  assert.deepEqual(seen, LENGTHS);
  const { datagrams, bytes, truncated, dropped, kernelDrops, errors } = receiver.stats();
  assert.deepEqual([datagrams, bytes], [LENGTHS.length, LENGTHS.reduce<number>((sum, length) => sum + length, 0)]);
  assert.deepEqual([truncated, dropped, kernelDrops, errors], [0, 0, 0, 0]);
});

withEngines("datagrams of every length, all there at once", async (t, engine) => {
  const pool = poolFor(t, { pageSizeBytes: PAGE_BYTES });
  const lengths = LENGTHS.filter((length) => length < 10_000); // what a receive buffer takes at once
  const seen: number[] = [];
  const receiver = await receiverOn(t, { pool, engine }, (batch) => {
    for (const { bytes, length } of batch) {
      assert.ok(isPattern(bytes, seen.length % lengths.length));
      seen.push(length);
    }
  });
  const sender = await senderTo(t, receiver);
  for (let round = 1; round <= 4; round++) {
    for (const [index, length] of lengths.entries()) sender.send(pattern(index, length));
    await until(() => seen.length === lengths.length * round, "all of them");
  }
  assert.deepEqual(seen, [...lengths, ...lengths, ...lengths, ...lengths]);
});

withEngines("who sent it: several senders, mixed", async (t, engine) => {
  const pool = poolFor(t);
  const heard: string[] = [];
  const receiver = await receiverOn(t, { pool, engine }, (batch) => {
    for (const { bytes, address, port, family } of batch)
      heard.push(`${address} ${port} ${family} ${bytes.toString()}`);
  });
  const senders: Socket[] = [];
  for (let i = 0; i < 5; i++) senders.push(await senderTo(t, receiver));
  for (let i = 0; i < 50; i++) senders[i % 5]?.send(String(i));
  await until(() => heard.length === 50, "all of them");
  const ports = senders.map((sender) => sender.address().port);
  assert.deepEqual(
    heard,
    upTo(50).map((i) => `127.0.0.1 ${ports[i % 5]} IPv4 ${i}`),
  );
});

withEngines("what was not asked for is null, and what the engine cannot know too", async (t, engine) => {
  const pool = poolFor(t);
  const told: (number | string | null)[][] = [];
  const take = (batch: UdpBatch): void => {
    for (const { ecn, localAddress } of batch) told.push([ecn, localAddress]);
  };
  for (const asked of [{}, { ecn: true }, { localAddress: true }, { ecn: true, localAddress: true }]) {
    const receiver = await receiverOn(t, { pool, engine, address: "0.0.0.0", ...asked }, take);
    (await senderTo(t, receiver)).send("x");
    await until(() => told.length > 0, "it arrives");
    const ecn = engine === "recvmmsg" && "ecn" in asked ? 0 : null;
    const localAddress = engine === "recvmmsg" && "localAddress" in asked ? "127.0.0.1" : null;
    assert.deepEqual(told.splice(0), [[ecn, localAddress]]);
  }
});

withEngines(
  "ECN and local address of IPv6, and of IPv4 on the same socket",
  async (t, engine) => {
    const pool = poolFor(t);
    const told: unknown[] = [];
    const options = { pool, engine, address: "::", ecn: true, localAddress: true };
    const receiver = await receiverOn(t, options, (batch) => {
      for (const { ecn, localAddress, address, family } of batch) told.push([ecn, localAddress, address, family]);
    });
    const [six, four] = [await senderTo(t, receiver, "udp6"), await senderTo(t, receiver, "udp4")];
    if (engine === "recvmmsg") {
      setOption(six, 41, 67, 3); // IPV6_TCLASS
      setOption(four, 0, 1, 2); // IP_TOS
    }
    six.send("x");
    await until(() => told.length === 1, "IPv6");
    four.send("x");
    await until(() => told.length === 2, "IPv4");
    const mapped = "::ffff:127.0.0.1";
    assert.deepEqual(told, [
      [...(engine === "recvmmsg" ? [3, "::1"] : [null, null]), "::1", "IPv6"],
      [...(engine === "recvmmsg" ? [2, mapped] : [null, null]), mapped, "IPv6"],
    ]);
  },
  { skip: noIPv6 },
);

withEngines("a batch says how much it has; it is iterated as often as one likes, also in part", async (t, engine) => {
  const pool = poolFor(t);
  const counts = { datagrams: 0, bytes: 0, batches: 0 };
  const receiver = await receiverOn(t, { pool, engine }, (batch) => {
    const first = numbersOf(batch);
    assert.equal(first.length, batch.length);
    assert.deepEqual(first, upTo(100).slice(counts.datagrams % 100, (counts.datagrams % 100) + batch.length));
    for (const datagram of batch) {
      assert.equal(numberOf(datagram.bytes), first[0]);
      break;
    }
    assert.deepEqual(numbersOf(batch), first, "again from the start");
    assert.equal(batch.isReleased, false);
    counts.batches++;
    counts.datagrams += batch.length;
    counts.bytes += batch.byteCount;
  });
  const sender = await senderTo(t, receiver);
  for (let round = 1; round <= 3; round++) {
    for (let i = 0; i < 100; i++) sender.send(numbered(i, 20));
    await until(() => counts.datagrams === round * 100, "all of them");
  }
  assert.equal(counts.bytes, 300 * 20);
  const { datagrams, bytes, batches } = receiver.stats();
  assert.deepEqual({ datagrams, bytes, batches }, counts);
  assert.ok(batches < datagrams / 2, `${batches} batches for ${datagrams} datagrams`);
});

withEngines(
  "one object for all datagrams of a batch, whose bytes are in a page: nothing is copied",
  async (t, engine) => {
    const pool = poolFor(t);
    const objects = new Set<UdpDatagram>();
    let length = 0;
    const receiver = await receiverOn(t, { pool, engine }, (batch) => {
      objects.clear();
      for (const datagram of batch) {
        objects.add(datagram);
        assert.ok(datagram.bytes.buffer instanceof SharedArrayBuffer);
        assert.equal(datagram.bytes, datagram.bytes, "asked twice, made once");
      }
      assert.equal(objects.size, 1);
      length += batch.length;
    });
    const sender = await senderTo(t, receiver);
    for (let i = 0; i < 50; i++) sender.send(numbered(i));
    await until(() => length === 50, "all of them");
  },
);

withEngines("receiveUdp() takes over a socket of Node's, which keeps the rest", async (t, engine) => {
  const pool = poolFor(t);
  const { socket, heard, receiver } = await takenOver(t, engine, pool);
  const sender = await senderTo(t, receiver);
  const answer = once(sender, "message");
  sender.send("hello");
  await until(() => heard.length === 1, "it arrives");
  assert.deepEqual(heard, ["hello"]);
  assert.equal(receiver.socket, socket);
  assert.deepEqual(receiver.address(), socket.address());
  socket.send("to you", sender.address().port, "127.0.0.1");
  assert.equal(String((await answer)[0]), "to you");
});

async function takenOver(
  t: TestContext,
  engine: UdpEngine,
  pool: ReturnType<typeof poolFor>,
): Promise<{ socket: Socket; heard: string[]; receiver: ReturnType<typeof receiveUdp> }> {
  const socket = createSocket("udp4");
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  const heard: string[] = [];
  const receiver = receiveUdp(socket, { pool, engine }, (batch) => {
    for (const { bytes } of batch) heard.push(bytes.toString());
  });
  t.after(() => receiver.close());
  return { socket, heard, receiver };
}

test("auto is the best engine there is, without a reason; what was chosen has none either", async (t) => {
  const pool = poolFor(t);
  const auto = await receiverOn(t, { pool }, () => {});
  const dgram = await receiverOn(t, { pool, engine: "dgram" }, () => {});
  const { engine, engineReason } = auto.stats();
  assert.equal(engineReason === null, engine === "recvmmsg", engineReason ?? "no reason");
  assert.deepEqual([dgram.stats().engine, dgram.stats().engineReason], ["dgram", null]);
});

/**
 * Shows: what the vector of recvmmsg(2) says of real messages from the loopback interface: who sent them, how long they were, where their bytes are,
 * and everything the kernel tells besides: the segment size of offload, ECN, the local address, the zone of a link-local one.
 */
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import type { Socket } from "node:dgram";
import { once } from "node:events";
import { networkInterfaces } from "node:os";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { addressOf } from "../../src/os/address-of.ts";
import { ReceiveVector } from "../../src/os/receive-vector.ts";
import { UDP_GRO } from "../../src/os/udp-calls.ts";
import { handleOf } from "../../src/udp/node-internals.ts";
import { until } from "../support/at-rest.ts";
import { pattern } from "../support/pattern.ts";
import { fdOf, noCalls, noIPv6, segment, setOption, udpCalls } from "../support/udp.ts";
import { collectGarbage } from "../pool/collected.ts";

const ROWS = 4;
const FIRST_BYTES = 100;
const SECOND_BYTES = 65_536;
const EAGAIN = 11;
// From <netinet/in.h>, <linux/in6.h>.
const [IP, IPV6, UDP] = [0, 41, 17];
const [IP_TOS, IP_PKTINFO, IP_RECVTOS, IPV6_RECVPKTINFO, IPV6_RECVTCLASS, IPV6_TCLASS] = [1, 8, 13, 49, 66, 67];

/** A bound socket that Node does not read from, and the vector to read it with. */
class Receiver {
  readonly socket: Socket;
  readonly vector = new ReceiveVector(ROWS);
  readonly #buffers: readonly Buffer[];

  constructor(socket: Socket) {
    this.socket = socket;
    handleOf(socket)?.recvStop();
    this.#buffers = Array.from({ length: ROWS }, () => Buffer.from(new ArrayBuffer(FIRST_BYTES + SECOND_BYTES)));
    for (const [row, bytes] of this.#buffers.entries()) {
      const second = addressOf(bytes) + FIRST_BYTES;
      this.vector.setBuffers(row, addressOf(bytes), FIRST_BYTES, second, SECOND_BYTES);
    }
  }

  /** One call. */
  read(): number {
    this.vector.prepare(ROWS);
    return udpCalls().receive(fdOf(this.socket), this.vector.address, ROWS);
  }

  /** Calls until something is there. How many messages. */
  async next(): Promise<number> {
    let count = 0;
    await until(() => (count = this.read()) !== -EAGAIN, "a message is there");
    assert.ok(count > 0, `recvmmsg answers ${count}`);
    return count;
  }

  bytesOf(row: number): Buffer {
    return this.#buffers[row]!.subarray(0, this.vector.lengthOf(row)); // there are ROWS of them
  }
}

async function bound(t: TestContext, address = "127.0.0.1"): Promise<Receiver> {
  const socket = await opened(t, address);
  return new Receiver(socket);
}

async function opened(t: TestContext, address: string): Promise<Socket> {
  const socket = createSocket(address.includes(":") ? "udp6" : "udp4");
  t.after(() => socket.close());
  socket.bind(0, address);
  await once(socket, "listening");
  return socket;
}

/** A sender that is bound, to know its port, and connected, so that what it sends is sent at once. */
async function senderTo(
  t: TestContext,
  { socket }: { readonly socket: Socket },
  address: string,
  from = address,
): Promise<Socket> {
  const sender = await opened(t, from);
  sender.connect(socket.address().port, address);
  await once(sender, "connect");
  return sender;
}

test("several messages at a time: lengths, bytes, and sources", { skip: noCalls }, async (t) => {
  const receiver = await bound(t);
  const senders = [await senderTo(t, receiver, "127.0.0.1"), await senderTo(t, receiver, "127.0.0.1", "127.0.0.2")];
  const lengths = [0, 1, FIRST_BYTES, FIRST_BYTES + 1, 65_507, 5];
  for (const [index, length] of lengths.entries()) senders[index % 2]?.send(pattern(index, length));
  const { vector } = receiver;
  const seen: unknown[] = [];
  for (let count = 0; seen.length < lengths.length;) {
    count = await receiver.next();
    for (let row = 0; row < count; row++) {
      const index = seen.length;
      assert.deepEqual(receiver.bytesOf(row), pattern(index, lengths[index] ?? 0));
      assert.deepEqual([vector.segmentBytesOf(row), vector.ecnOf(row), vector.localAddressOf(row)], [0, null, null]);
      assert.ok(vector.hasNoControl(row) && !vector.isTruncated(row));
      seen.push(vector.sourceOf(row));
    }
  }
  assert.equal(receiver.read(), -EAGAIN, "nothing is left");
  const sources = senders.map((sender) => sender.address());
  assert.deepEqual(
    seen,
    lengths.map((_, index) => sources[index % 2]),
  );
  assert.equal(seen[0], seen[2], "made once for each source");
  assert.ok(Object.isFrozen(seen[0]), "since it is shared");
});

test("a message that is longer than its buffers: how long it was", { skip: noCalls }, async (t) => {
  const receiver = await bound(t);
  const { vector } = receiver;
  const bytes = Buffer.from(new ArrayBuffer(4096), 0, 30);
  vector.setBuffers(0, addressOf(bytes), 10, addressOf(bytes) + 10, 10);
  (await senderTo(t, receiver, "127.0.0.1")).send(pattern(0, 1000));
  assert.equal(await receiver.next(), 1);
  assert.equal(vector.lengthOf(0), 1000);
  assert.ok(vector.isTruncated(0));
  assert.deepEqual(bytes, Buffer.concat([pattern(0, 20), Buffer.alloc(10)]), "and nothing behind them is touched");
});

test("GRO: the segment size, also when the last one is shorter, and none for what is one datagram", async (t) => {
  if (noCalls !== false) return t.skip(noCalls);
  const receiver = await bound(t);
  setOption(receiver.socket, UDP, UDP_GRO, 1);
  const sender = await senderTo(t, receiver, "127.0.0.1");
  for (const [segmentBytes, length] of [
    [1000, 10_500],
    [1, 64],
    [0, 800],
    [20_000, 65_000],
    [1400, 1400],
  ] as const) {
    segment(sender, segmentBytes);
    sender.send(pattern(length, length));
    assert.equal(await receiver.next(), 1, "one message");
    assert.deepEqual(receiver.bytesOf(0), pattern(length, length));
    assert.equal(receiver.vector.segmentBytesOf(0), segmentBytes < length ? segmentBytes : 0);
  }
});

test("ECN: the two bits, whatever else is in the byte", { skip: noCalls }, async (t) => {
  const receiver = await bound(t);
  setOption(receiver.socket, IP, IP_RECVTOS, 1);
  const sender = await senderTo(t, receiver, "127.0.0.1");
  for (const tos of [0, 1, 2, 3, 0xb8, 0xb9]) {
    setOption(sender, IP, IP_TOS, tos);
    sender.send("x");
    await receiver.next();
    assert.equal(receiver.vector.ecnOf(0), tos & 3);
  }
});

test("ECN of IPv6", { skip: noCalls || noIPv6 }, async (t) => {
  const receiver = await bound(t, "::1");
  setOption(receiver.socket, IPV6, IPV6_RECVTCLASS, 1);
  const sender = await senderTo(t, receiver, "::1");
  for (const trafficClass of [0, 1, 2, 3, 0xbb]) {
    setOption(sender, IPV6, IPV6_TCLASS, trafficClass);
    sender.send("x");
    await receiver.next();
    assert.equal(receiver.vector.ecnOf(0), trafficClass & 3);
    assert.deepEqual(receiver.vector.sourceOf(0), { ...sender.address() });
  }
});

test("the address that a message was sent to", { skip: noCalls }, async (t) => {
  const receiver = await bound(t, "0.0.0.0");
  setOption(receiver.socket, IP, IP_PKTINFO, 1);
  for (const address of ["127.0.0.1", "127.0.0.2", "127.255.7.9"]) {
    (await senderTo(t, receiver, address, "127.0.0.1")).send("x");
    await receiver.next();
    assert.equal(receiver.vector.localAddressOf(0), address);
  }
});

test("everything at once, on an IPv6 socket that gets IPv4 messages too", { skip: noCalls || noIPv6 }, async (t) => {
  const receiver = await bound(t, "::");
  for (const [level, name] of [
    [UDP, UDP_GRO],
    [IP, IP_RECVTOS],
    [IPV6, IPV6_RECVTCLASS],
    [IPV6, IPV6_RECVPKTINFO],
  ] as const)
    setOption(receiver.socket, level, name, 1);
  const six = await senderTo(t, receiver, "::1");
  const four = await senderTo(t, receiver, "127.0.0.1");
  setOption(six, IPV6, IPV6_TCLASS, 2);
  setOption(four, IP, IP_TOS, 1);
  const { vector } = receiver;
  for (const [sender, ecn, address, local] of [
    [six, 2, "::1", "::1"],
    [four, 1, "::ffff:127.0.0.1", "::ffff:127.0.0.1"],
  ] as const) {
    segment(sender, 100);
    sender.send(pattern(0, 950));
    await receiver.next();
    assert.deepEqual([vector.lengthOf(0), vector.segmentBytesOf(0), vector.ecnOf(0)], [950, 100, ecn]);
    assert.equal(vector.localAddressOf(0), local);
    assert.deepEqual(vector.sourceOf(0), { address, port: sender.address().port, family: "IPv6" });
  }
});

const linkLocal = Object.entries(networkInterfaces())
  .flatMap(([name, each = []]) => each.map(({ address }) => ({ address, zoned: `${address}%${name}` })))
  .find(({ address }) => address.startsWith("fe80:"));
const noLinkLocal = linkLocal === undefined && "this machine has no link-local address";

test("the zone of a link-local source, as Node shows it", { skip: noCalls || noLinkLocal }, async (t) => {
  const zoned = linkLocal?.zoned ?? assert.fail();
  const receiver = await bound(t, "::");
  const node = await opened(t, "::");
  const sender = await senderTo(t, receiver, zoned);
  const told = once(node, "message");
  sender.send("x");
  await receiver.next();
  const source = receiver.vector.sourceOf(0);
  assert.deepEqual(source, { address: zoned, port: sender.address().port, family: "IPv6" });
  const other = await senderTo(t, { socket: node }, zoned);
  other.send("x");
  const [, rinfo] = (await told) as [Buffer, { address: string }];
  assert.equal(rinfo.address, source.address);
});

test("it is where it was after garbage collections", { skip: noCalls }, async (t) => {
  const receiver = await bound(t);
  const sender = await senderTo(t, receiver, "127.0.0.1");
  for (let round = 0; round < 20; round++) {
    const garbage = Array.from({ length: 100 }, () => new Uint8Array(10_000));
    assert.equal(garbage.length, 100);
    collectGarbage();
    sender.send(pattern(round, 1000 + round));
    await receiver.next();
    assert.deepEqual(receiver.bytesOf(0), pattern(round, 1000 + round));
    assert.equal(receiver.vector.sourceOf(0).port, sender.address().port);
  }
});

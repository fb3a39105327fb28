/** Shows: every datagram is one 'message', in order, with its own bytes and `rinfo`, which are the listener's to keep and to write to. */
import assert from "node:assert/strict";
import type { RemoteInfo, Socket } from "node:dgram";
import { once } from "node:events";
import { test } from "node:test";
import { until } from "../support/at-rest.ts";
import { RECEIVING, assertBatched, assertEngine } from "./modules.ts";
import {
  BURST,
  addresses,
  bound,
  burst,
  collect,
  drained,
  noIPv6,
  numberOf,
  numbered,
  open,
  portOf,
  senderTo,
  text,
} from "./sockets.ts";
import type { Message } from "./sockets.ts";

const linkLocal = addresses().find(({ address }) => address.startsWith("fe80:"));
const noLinkLocal = linkLocal === undefined ? "no interface has a link-local address" : false;

const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

/** Sends `count` messages in bursts that the receive buffer holds, and returns all that `socket` emits for them. */
async function inBursts(socket: Socket, sender: Socket, count: number): Promise<Message[]> {
  const messages: Message[] = [];
  socket.on("message", (bytes, rinfo) => messages.push({ bytes, rinfo }));
  while (messages.length < count) {
    const end = Math.min(count, messages.length + BURST);
    burst(sender, end - messages.length, messages.length, 60);
    await until(
      () => messages.length >= end,
      () => `${messages.length} of ${end} arrived`,
    ); // one closure a burst
  }
  await drained(socket);
  return messages;
}

for (const dgram of RECEIVING) {
  const { name } = dgram;

  test(`${name}: a burst arrives as it was sent: order, contents, count`, async (t) => {
    const socket = await bound(t, dgram);
    const sender = await senderTo(t, socket);
    const messages: Buffer[] = [];
    socket.on("message", (message) => messages.push(message));
    const lengths = upTo(150).map((i) => 4 + ((i * 37) % 700));
    lengths.forEach((length, i) => sender.send(numbered(i, length)));
    await until(
      () => messages.length >= lengths.length,
      () => `${messages.length} arrived`,
    );
    await drained(socket);
    assert.equal(messages.length, lengths.length, "nothing twice");
    messages.forEach((message, i) => assert.deepEqual(message, numbered(i, lengths[i])));
    assertEngine(socket);
    assertBatched(socket);
  });

  test(`${name}: rinfo: exactly these fields, an object for each message`, async (t) => {
    const socket = await bound(t, dgram);
    const senders = await Promise.all([1, 2, 3].map(() => senderTo(t, socket)));
    const infos: RemoteInfo[] = [];
    socket.on("message", (_, rinfo) => {
      infos.push({ ...rinfo });
      assert.deepEqual(Object.keys(rinfo), ["address", "family", "port", "size"]);
      rinfo.address = "overwritten"; // is nobody else's
    });
    for (let i = 0; i < 60; i++) senders[i % 3]?.send(numbered(i, 4 + i));
    await until(() => infos.length === 60, "all arrived");
    const ports = senders.map((sender) => portOf(sender));
    infos.forEach((rinfo, i) =>
      assert.deepEqual(rinfo, { address: "127.0.0.1", family: "IPv4", port: ports[i % 3], size: 4 + i }),
    );
  });

  test(`${name}: a message is a Buffer over plain memory; listeners share it, messages do not`, async (t) => {
    const socket = await bound(t, dgram);
    const seen: Buffer[][] = [[], []];
    const listen = (list: Buffer[] | undefined) =>
      function (this: unknown, message: Buffer): void {
        assert.equal(this, socket);
        list?.push(message);
      };
    socket.on("message", listen(seen[0])).on("message", listen(seen[1]));
    burst(await senderTo(t, socket), 50, 0, 32);
    await until(() => seen[1]?.length === 50, "all arrived");
    const [mine = [], same = []] = seen;
    mine.forEach((message, i) => assert.equal(message, same[i]));
    for (const message of mine) {
      assert.ok(Buffer.isBuffer(message));
      assert.ok(message.buffer instanceof ArrayBuffer, "not shared memory");
      assert.ok(Object.isExtensible(message));
    }
    for (const [i, message] of mine.entries()) {
      message.fill(0xee);
      for (const [j, other] of mine.entries())
        if (j > i) assert.deepEqual(other, numbered(j, 32), `${i} wrote into ${j}`);
    }
  });

  test(`${name}: giving a message's memory away, to a worker for one, takes nothing from the others`, async (t) => {
    const socket = await bound(t, dgram);
    const messages = collect(socket, 40);
    burst(await senderTo(t, socket), 40, 0, 32);
    const [first, ...others] = (await messages).map(({ bytes }) => bytes);
    assert.ok(first?.buffer instanceof ArrayBuffer);
    try {
      const moved = structuredClone(first, { transfer: [first.buffer] });
      assert.deepEqual(Buffer.from(moved), numbered(0, 32));
    } catch (error) {
      assert.ok(error instanceof DOMException, String(error)); // refused, as for Buffers of Node's own pool
      assert.equal(error.name, "DataCloneError");
    }
    if (first.length > 0)
      assert.deepEqual(first, numbered(0, 32), "not moved, copied: so does Node 20 with memory that must stay");
    others.forEach((message, i) => assert.deepEqual(message, numbered(i + 1, 32)));
  });

  test(`${name}: 1,000 messages that are kept stay what they were, whatever arrives later`, async (t) => {
    const socket = await bound(t, dgram);
    const sender = await senderTo(t, socket);
    const kept = await inBursts(socket, sender, 1000);
    socket.removeAllListeners("message");
    socket.on("message", (message) => message.fill(0xff)); // writes all over what arrives later
    for (let i = 0; i < 5; i++) {
      const arrived = collect(socket, BURST);
      burst(sender, BURST, 10_000, 60);
      await arrived;
      globalThis.gc?.();
    }
    assert.equal(kept.length, 1000);
    kept.forEach(({ bytes, rinfo }, i) => {
      assert.deepEqual(bytes, numbered(i, 60));
      assert.deepEqual(rinfo, { address: "127.0.0.1", family: "IPv4", port: portOf(sender), size: 60 });
    });
    assertBatched(socket);
  });

  test(`${name}: datagrams without a byte are messages, among others, too`, async (t) => {
    const socket = await bound(t, dgram);
    const sender = await senderTo(t, socket);
    const messages = collect(socket, 60);
    for (let i = 0; i < 60; i++) sender.send(i % 3 === 0 ? numbered(i) : Buffer.alloc(0));
    (await messages).forEach(({ bytes, rinfo }, i) => {
      assert.ok(Buffer.isBuffer(bytes));
      assert.deepEqual(bytes, i % 3 === 0 ? numbered(i) : Buffer.alloc(0));
      assert.equal(rinfo.size, bytes.length);
    });
  });

  test(`${name}: the longest datagrams there are`, async (t) => {
    const socket = await bound(t, dgram, { type: "udp4", recvBufferSize: 500_000 });
    const sender = await senderTo(t, socket);
    const lengths = [65_507, 65_506, 1, 65_507, 40_000, 65_507];
    for (const length of lengths) {
      const message = collect(socket, 1);
      sender.send(numbered(length, Math.max(4, length)));
      const [{ bytes, rinfo } = assert.fail()] = await message;
      assert.deepEqual(bytes, numbered(length, Math.max(4, length)));
      assert.equal(rinfo.size, bytes.length);
    }
    const together = collect(socket, 2);
    for (let i = 0; i < 2; i++) sender.send(numbered(i, 65_507));
    (await together).forEach(({ bytes }, i) => assert.deepEqual(bytes, numbered(i, 65_507)));
  });

  test(`${name}: the longest datagrams of IPv6`, { skip: noIPv6 }, async (t) => {
    const socket = await bound(t, dgram, { type: "udp6", recvBufferSize: 500_000 });
    const message = collect(socket, 1);
    (await senderTo(t, socket, "udp6")).send(numbered(6, 65_527));
    assert.deepEqual((await message)[0]?.bytes, numbered(6, 65_527));
  });

  test(`${name}: a link-local source has its interface`, { skip: noIPv6 || noLinkLocal }, async (t) => {
    const { zoned = "" } = linkLocal ?? {};
    const socket = open(t, dgram, "udp6").bind(0, zoned);
    await once(socket, "listening");
    const message = collect(socket, 1);
    socket.send("to myself", portOf(socket), zoned);
    const { rinfo } = (await message)[0] ?? {};
    assert.deepEqual({ ...rinfo }, { address: zoned, family: "IPv6", port: portOf(socket), size: 9 });
  });

  test(`${name}: what arrives while nobody listens is gone`, async (t) => {
    const socket = await bound(t, dgram);
    const sender = await senderTo(t, socket);
    burst(sender, 50);
    await drained(socket);
    const heard = text(socket);
    sender.send("for the listener");
    assert.equal(await heard, "for the listener");
    await drained(socket);
    burst(sender, 50);
    await drained(socket);
    const again = text(socket);
    sender.send("for the next listener");
    assert.equal(await again, "for the next listener");
  });

  test(`${name}: listeners that come and go in the middle of a burst`, async (t) => {
    const socket = await bound(t, dgram);
    const [early, late, single]: number[][] = [[], [], []];
    socket.once("message", (message) => single?.push(numberOf(message)));
    const listener = (message: Buffer): void => {
      if (early?.push(numberOf(message)) === 10) {
        socket.off("message", listener);
        socket.on("message", (later) => late?.push(numberOf(later)));
      }
    };
    socket.on("message", listener);
    burst(await senderTo(t, socket), 40);
    await until(() => late?.length === 30, "all arrived");
    assert.deepEqual([single, early, late], [[0], upTo(10), upTo(40).slice(10)]);
  });

  test(`${name}: several sockets at once, each its own`, async (t) => {
    const sockets = await Promise.all(upTo(12).map(() => bound(t, dgram)));
    const senders = await Promise.all(sockets.map((socket) => senderTo(t, socket)));
    const all = Promise.all(sockets.map((socket) => collect(socket, 60)));
    senders.forEach((sender, i) => burst(sender, 60, i * 1000));
    for (const [i, messages] of (await all).entries())
      assert.deepEqual(
        messages.map(({ bytes }) => numberOf(bytes)),
        upTo(60).map((j) => i * 1000 + j),
      );
  });
}

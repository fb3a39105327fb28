/**
 * Shows: everything that can be sent arrives, once, as it was during the call: one datagram or thousands, to addresses, names, or where the socket is
 * connected; and what cannot be sent is told by its code, counted, and keeps nothing else from being sent. With both engines.
 */
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import type { Socket } from "node:dgram";
import { once } from "node:events";
import type { TestContext } from "node:test";
import type { JumboPool } from "../../src/index.ts";
import type { OutgoingDatagram, UdpEngine, UdpReceiver } from "../../src/udp/index.ts";
import { poolFor, until } from "../support/at-rest.ts";
import { isPattern, pattern } from "../support/pattern.ts";
import { noIPv6, numberOf, numbered, portOf, receiverOn, senderTo, upTo, withEngines, wrong } from "../support/udp.ts";

const OPTION_INVALID = { name: "JumboError", code: "ERR_JUMBO_OPTION_INVALID" };

type Pair = {
  readonly pool: JumboPool;
  readonly sender: UdpReceiver;
  readonly heard: Buffer[];
  readonly to: { address: string; port: number };
};

/** A sender, and what a receiver of the other kind hears. */
async function pair(t: TestContext, engine: UdpEngine): Promise<Pair> {
  const pool = poolFor(t);
  const heard: Buffer[] = [];
  const receiver = await receiverOn(t, { pool, engine: "dgram" }, (batch) => {
    for (const datagram of batch) heard.push(datagram.copy());
  });
  const sender = await receiverOn(t, { pool, engine }, () => {});
  return { pool, sender, heard, to: { address: "127.0.0.1", port: portOf(receiver) } };
}

async function arrived(heard: readonly Buffer[], count: number): Promise<void> {
  await until(
    () => heard.length >= count,
    () => `${heard.length} of ${count} arrive`,
  );
  assert.equal(heard.length, count);
}

withEngines("one datagram of any length, of any kind of memory", async (t, engine) => {
  const { pool, sender, heard, to } = await pair(t, engine);
  const lengths = [0, 1, 64, 65, 2048, 2049, 4096]; // what the other one's page takes
  for (const [index, length] of lengths.entries()) {
    await sender.send(pattern(index, length), to);
    await arrived(heard, index + 1);
    assert.deepEqual(heard[index], pattern(index, length));
  }
  heard.length = 0;
  const shared = new Uint8Array(new SharedArrayBuffer(3000)).fill(7);
  using page = pool.alloc();
  page?.bytes.fill(8);
  for (const bytes of [shared, shared.subarray(2990), page?.bytes ?? assert.fail(), new Uint8Array([1, 2, 3])]) {
    await sender.send(bytes, to);
    await until(() => heard.length === 1, "it arrives");
    assert.deepEqual(heard.pop(), Buffer.from(bytes));
  }
  const { sent } = sender.stats();
  assert.equal(sent.datagrams, lengths.length + 4);
  assert.equal(sent.viaNode, engine === "dgram" ? sent.datagrams : 0);
});

withEngines("a batch of many, with few system calls; from an array, a set, a generator", async (t, engine) => {
  const { sender, heard, to } = await pair(t, engine);
  const many = upTo(150).map((index): OutgoingDatagram => ({ bytes: numbered(index, 4 + index), ...to }));
  const sources: Iterable<OutgoingDatagram>[] = [many, new Set(many), generate(many), []];
  for (const source of sources) {
    await sender.sendBatch(source);
    if (!Array.isArray(source) || source.length > 0) await arrived(heard, 150);
    assert.deepEqual(heard.splice(0).map(numberOf), source === sources[3] ? [] : upTo(150));
  }
  const { sent } = sender.stats();
  assert.deepEqual([sent.datagrams, sent.errors], [450, 0]);
  assert.equal(sent.bytes, 3 * many.reduce((sum, { bytes }) => sum + bytes.length, 0));
  if (engine === "recvmmsg") assert.equal(sent.systemCalls, 3 * 3, "64 a call");
});

function* generate<T>(values: Iterable<T>): Generator<T> {
  yield* values;
}

withEngines("the bytes are taken during the call, and one's own again when it returns", async (t, engine) => {
  const { sender, heard, to } = await pair(t, engine);
  for (const length of [100, 3000]) {
    const bytes = Buffer.from(pattern(0, length));
    const sending = [
      sender.send(bytes, to),
      sender.sendBatch([{ bytes, ...to }]),
      sender.sendBatch([{ bytes, ...to }], { segmentBytes: length }),
      sender.send(bytes, { ...to, address: "localhost" }), // looked up first
    ];
    bytes.fill(0xff);
    await Promise.all(sending);
    await arrived(heard, 4);
    for (const each of heard.splice(0)) assert.ok(isPattern(each, 0) && each.length === length);
  }
});

withEngines("bytes that a generator changes between two datagrams, also long ones", async (t, engine) => {
  const { sender, heard, to } = await pair(t, engine);
  for (const length of [100, 3000]) {
    const bytes = Buffer.alloc(length);
    function* reuse(): Generator<OutgoingDatagram> {
      for (let index = 0; index < 20; index++) {
        bytes.set(numbered(index, length));
        yield { bytes, ...to };
      }
      bytes.fill(0);
    }
    await sender.sendBatch(reuse());
    await arrived(heard, 20);
    assert.deepEqual(heard.splice(0).map(numberOf), upTo(20));
  }
});

withEngines("a generator that itself sends, and one that throws", async (t, engine) => {
  const { sender, heard, to } = await pair(t, engine);
  const inner: Promise<void>[] = [];
  function* nested(): Generator<OutgoingDatagram> {
    for (let index = 0; index < 70; index++) {
      if (index % 10 === 5) inner.push(sender.sendBatch([{ bytes: numbered(1000 + index), ...to }]));
      yield { bytes: numbered(index), ...to };
    }
  }
  await sender.sendBatch(nested());
  await Promise.all(inner);
  await arrived(heard, 77);
  const numbers = heard.splice(0).map(numberOf);
  assert.deepEqual(
    numbers.filter((number) => number < 1000),
    upTo(70),
  );
  assert.deepEqual(
    numbers.filter((number) => number >= 1000),
    [5, 15, 25, 35, 45, 55, 65].map((n) => 1000 + n),
  );

  const mistake = new Error("in the generator");
  function* broken(): Generator<OutgoingDatagram> {
    yield { bytes: numbered(0), ...to };
    throw mistake;
  }
  await assert.rejects(sender.sendBatch(broken()), mistake);
  await sender.send(numbered(7), to);
  await until(() => heard.some((bytes) => numberOf(bytes) === 7), "it is as it was");
});

withEngines("an echo: a batch that was received is sent back, each to its sender", async (t, engine) => {
  const pool = poolFor(t);
  const receiver: UdpReceiver = await receiverOn(t, { pool, engine }, (batch) => receiver.sendBatch(batch));
  const senders: Socket[] = [];
  const answers: number[][] = [];
  for (let i = 0; i < 4; i++) {
    const sender = await senderTo(t, receiver);
    const own: number[] = [];
    sender.on("message", (bytes) => own.push(numberOf(bytes)));
    senders.push(sender);
    answers.push(own);
  }
  for (let i = 0; i < 120; i++) senders[i % 4]?.send(numbered(i, 4 + i * 20));
  await until(
    () => answers.every((own) => own.length === 30),
    () => `${answers.map((own) => own.length).join()} answers`,
  );
  assert.deepEqual(
    answers,
    upTo(4).map((i) => upTo(30).map((n) => n * 4 + i)),
  );
  assert.deepEqual([receiver.stats().sent.datagrams, receiver.stats().sent.errors], [120, 0]);
});

withEngines("where it is connected to; not connected, it is told", async (t, engine) => {
  const { sender, heard, to } = await pair(t, engine);
  await assert.rejects(
    sender.send(Buffer.from("to nobody")),
    (error: NodeJS.ErrnoException) => error.code !== undefined,
  );
  sender.socket.connect(to.port, to.address);
  await once(sender.socket, "connect");
  await sender.send(numbered(0));
  await sender.sendBatch(upTo(99).map((index) => ({ bytes: numbered(index + 1) })));
  await arrived(heard, 100);
  assert.deepEqual(heard.map(numberOf), upTo(100));
  assert.equal(sender.stats().sent.errors, 1);
});

withEngines("names are looked up; one that nobody knows is told", async (t, engine) => {
  const { sender, heard, to } = await pair(t, engine);
  const datagrams = [
    { bytes: numbered(0), ...to },
    { bytes: numbered(1), port: to.port, address: "localhost" },
    { bytes: numbered(2), port: to.port, address: "no.such.host.invalid" },
    { bytes: numbered(3), ...to },
  ];
  await assert.rejects(sender.sendBatch(datagrams), { code: /ENOTFOUND|EAI_AGAIN/ });
  await arrived(heard, 3);
  assert.deepEqual(
    heard.map(numberOf).toSorted((a, b) => a - b),
    [0, 1, 3],
  );
  assert.equal(sender.stats().sent.errors, 1);
  assert.equal(sender.stats().sent.viaNode, engine === "dgram" ? 4 : 3, "nothing overtakes what waits there");
});

withEngines("one that fails does not keep the others from being sent; the first error is told", async (t, engine) => {
  const { sender, heard, to } = await pair(t, engine);
  const isTooLong = (index: number): boolean => index % 10 === 3;
  const datagrams = upTo(100).map((index) =>
    index === 50
      ? { bytes: numbered(index), address: "127.255.255.255", port: 9 } // broadcast, which is not allowed: EACCES
      : { bytes: isTooLong(index) ? Buffer.alloc(65_508) : numbered(index), ...to },
  );
  await assert.rejects(sender.sendBatch(datagrams), { code: "EMSGSIZE" });
  const good = upTo(100).filter((index) => !isTooLong(index) && index !== 50);
  await arrived(heard, good.length);
  assert.deepEqual(heard.map(numberOf), good);
  const { datagrams: count, errors } = sender.stats().sent;
  assert.deepEqual([count, errors], [good.length, 11]);
  await assert.rejects(sender.send(Buffer.from("x"), { address: "127.255.255.255", port: 9 }), { code: "EACCES" });
  await assert.rejects(
    sender.send(Buffer.from("x"), { ...to, port: 0 }),
    (error: NodeJS.ErrnoException) => error.code !== undefined,
  );
});

withEngines("bad input is refused by its code, and what came before it may be sent", async (t, engine) => {
  const { sender, heard, to } = await pair(t, engine);
  const bytes = Buffer.from("x");
  for (const mistake of [
    { bytes: "text", ...to },
    { bytes: [1], ...to },
    { bytes: new DataView(new ArrayBuffer(1)), ...to },
    { bytes: new Uint16Array(2), ...to },
    { ...to },
    { bytes, port: 1 },
    { bytes, address: "127.0.0.1" },
    { bytes, address: "127.0.0.1", port: 65_536 },
    { bytes, address: "127.0.0.1", port: -1 },
    { bytes, address: "127.0.0.1", port: 1.5 },
    { bytes, address: "127.0.0.1", port: "9" },
    { bytes, address: 127, port: 9 },
    null,
    undefined,
    "text",
  ])
    await assert.rejects(sender.sendBatch(wrong([mistake])), OPTION_INVALID, JSON.stringify(mistake));
  for (const list of [null, undefined, 5, {}]) await assert.rejects(sender.sendBatch(wrong(list)), OPTION_INVALID);
  for (const segmentBytes of [-1, 65_508, 1.5, "10", null])
    await assert.rejects(sender.sendBatch([{ bytes, ...to }], { segmentBytes: wrong(segmentBytes) }), OPTION_INVALID);
  await assert.rejects(sender.send(wrong("text"), to), OPTION_INVALID);
  assert.equal(heard.length, 0);
  await sender.send(numbered(1), to);
  await arrived(heard, 1);
});

withEngines(
  "IPv6; and IPv4 addresses on an IPv6 socket",
  async (t, engine) => {
    const pool = poolFor(t);
    const sender = await receiverOn(t, { pool, engine, address: "::" }, () => {});
    for (const [type, address] of [
      ["udp6", "::1"],
      ["udp4", "127.0.0.1"],
      ["udp4", "::ffff:127.0.0.1"],
    ] as const) {
      const socket = createSocket(type).bind(0, type === "udp6" ? "::1" : "127.0.0.1");
      t.after(() => socket.close());
      await once(socket, "listening");
      const message = once(socket, "message");
      await sender.send(Buffer.from(address), { address, port: socket.address().port });
      assert.equal(String((await message)[0]), address);
    }
  },
  { skip: noIPv6 },
);

withEngines("after the close it is told, and nothing is sent", async (t, engine) => {
  const { sender, heard, to } = await pair(t, engine);
  await sender.close();
  await assert.rejects(sender.send(numbered(0), to), (error: NodeJS.ErrnoException) => error.code !== undefined);
  assert.deepEqual([heard.length, sender.stats().sent.datagrams, sender.stats().sent.errors], [0, 0, 1]);
});

/** Shows: buffer sizes, a lookup of one's own, block lists: each option of a socket does what Node's does. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { BlockList } from "node:net";
import { test } from "node:test";
import { until } from "../support/at-rest.ts";
import { MODULES, assertEngine, lacksOption } from "./modules.ts";
import { bound, burst, collect, drained, errorOf, numberOf, open, portOf, senderTo, text, wrong } from "./sockets.ts";

/** Linux keeps book of twice what was asked for. */
const FACTOR = process.platform === "linux" ? 2 : 1;

type Lookup = (
  hostname: string,
  family: unknown,
  callback: (error: Error | null, address: string, family: number) => void,
) => void;

for (const dgram of MODULES) {
  const { name } = dgram;

  test(`${name}: buffer sizes are set and got`, async (t) => {
    const socket = await bound(t, dgram);
    assert.ok(socket.getRecvBufferSize() > 0 && socket.getSendBufferSize() > 0);
    assert.equal(socket.setRecvBufferSize(10_000), undefined);
    assert.equal(socket.setSendBufferSize(12_000), undefined);
    assert.equal(socket.getRecvBufferSize(), 10_000 * FACTOR);
    assert.equal(socket.getSendBufferSize(), 12_000 * FACTOR);
    const heard = text(socket);
    (await senderTo(t, socket)).send("small");
    assert.equal(await heard, "small");
  });

  test(`${name}: buffer sizes as options`, async (t) => {
    const socket = await bound(t, dgram, { type: "udp4", recvBufferSize: 10_000, sendBufferSize: 15_000 });
    assert.deepEqual([socket.getRecvBufferSize(), socket.getSendBufferSize()], [10_000 * FACTOR, 15_000 * FACTOR]);
  });

  test(`${name}: buffer sizes refuse`, async (t) => {
    const socket = await bound(t, dgram);
    for (const method of ["setRecvBufferSize", "setSendBufferSize"] as const) {
      for (const size of [-1, Infinity, NaN, 1.5, "size", 2 ** 32])
        assert.throws(() => socket[method](wrong(size)), { code: "ERR_SOCKET_BAD_BUFFER_SIZE", name: "TypeError" });
      assert.throws(() => open(t, dgram)[method](8192), { code: "ERR_SOCKET_BUFFER_SIZE", name: "SystemError" });
    }
    for (const method of ["getRecvBufferSize", "getSendBufferSize"] as const)
      assert.throws(() => open(t, dgram)[method](), { code: "ERR_SOCKET_BUFFER_SIZE", name: "SystemError" });
  });

  test(`${name}: what overflows the receive buffer is lost, and the socket goes on`, async (t) => {
    const socket = await bound(t, dgram, { type: "udp4", recvBufferSize: 20_000 });
    const sender = await senderTo(t, socket);
    const numbers: number[] = [];
    socket.on("message", (message) => numbers.push(numberOf(message)));
    burst(sender, 400);
    await drained(socket);
    const { length } = numbers;
    assert.ok(length > 0 && length < 400, `${length} of 400`);
    assert.deepEqual(
      numbers,
      numbers.map((_, i) => i),
      "the first ones, in order",
    );
    burst(sender, 5, 1000);
    await until(() => numbers.length === length + 5, "goes on");
    assert.deepEqual(numbers.slice(length), [1000, 1001, 1002, 1003, 1004]);
  });

  test(`${name}: a lookup of one's own is asked in bind, connect and send`, async (t) => {
    const asked: unknown[] = [];
    const lookup: Lookup = (hostname, family, callback) => {
      asked.push([hostname, family]);
      process.nextTick(callback, null, "127.0.0.1", 4);
    };
    const options = { type: "udp4", lookup: wrong(lookup) } as const; // the types claim that it gets options
    const socket = open(t, dgram, options);
    socket.bind(0, "receiver.example");
    await once(socket, "listening");
    assert.equal(socket.address().address, "127.0.0.1");
    const heard = collect(socket, 2);
    const sender = open(t, dgram, options);
    sender.send("sent", portOf(socket), "peer.example");
    await once(sender, "listening");
    const connected = open(t, dgram, options);
    connected.connect(portOf(socket), "connected.example");
    await once(connected, "connect");
    connected.send("connected");
    assert.deepEqual((await heard).map(({ bytes }) => String(bytes)).sort(), ["connected", "sent"]);
    assert.deepEqual(asked, [
      ["receiver.example", 4],
      ["0.0.0.0", 4],
      ["peer.example", 4],
      ["0.0.0.0", 4],
      ["connected.example", 4],
    ]);
    assertEngine(socket);
  });

  test(`${name}: a lookup that answers at once makes bind synchronous`, async (t) => {
    const lookup: Lookup = (_, __, callback) => callback(null, "127.0.0.1", 4);
    const socket = open(t, dgram, { type: "udp4", lookup: wrong(lookup) });
    let count = 0;
    socket.on("listening", () => count++);
    socket.bind(0);
    assert.equal(count, 1);
    const heard = text(socket);
    (await senderTo(t, socket)).send("at once");
    assert.equal(await heard, "at once");
    assertEngine(socket);
  });

  test(`${name}: a lookup that fails fails bind with its error`, async (t) => {
    const error = new Error("nobody knows");
    const lookup: Lookup = (_, __, callback) => process.nextTick(callback, error, "", 4);
    const socket = open(t, dgram, { type: "udp4", lookup: wrong(lookup) });
    socket.bind(0, "a name");
    assert.equal(await errorOf(socket), error);
  });

  test(`${name}: receiveBlockList: who is on it is not heard`, { skip: lacksOption("blockLists") }, async (t) => {
    const receiveBlockList = new BlockList();
    receiveBlockList.addAddress("127.0.0.2");
    const socket = open(t, dgram, { type: "udp4", receiveBlockList }).bind(0);
    await once(socket, "listening");
    const [blocked, welcome] = [open(t, dgram).bind(0, "127.0.0.2"), open(t, dgram).bind(0, "127.0.0.1")];
    await Promise.all([once(blocked, "listening"), once(welcome, "listening")]);
    const heard: string[] = [];
    socket.on("message", (message, { address }) => heard.push(`${address} ${String(message)}`));
    for (let i = 0; i < 20; i++)
      for (const sender of [blocked, welcome]) sender.send(`${i}`, portOf(socket), "127.0.0.1");
    await until(
      () => heard.length === 20,
      () => `${heard.length} heard`,
    );
    await drained(socket);
    assert.deepEqual(
      heard,
      Array.from({ length: 20 }, (_, i) => `127.0.0.1 ${i}`),
    );
  });

  test(`${name}: sendBlockList: nothing goes there`, { skip: lacksOption("blockLists") }, async (t) => {
    const sendBlockList = new BlockList();
    sendBlockList.addAddress("127.0.0.2");
    const socket = await bound(t, dgram, { type: "udp4", sendBlockList });
    const sent = (address: string): Promise<Error | null> =>
      new Promise((resolve) => socket.send("text", portOf(socket), address, resolve));
    assert.equal(Reflect.get(Object(await sent("127.0.0.2")), "code"), "ERR_IP_BLOCKED");
    assert.equal(await sent("127.0.0.1"), null);
    const error = new Promise((resolve) => socket.connect(9, "127.0.0.2", resolve as () => void));
    assert.equal(Reflect.get(Object(await error), "code"), "ERR_IP_BLOCKED");
    socket.connect(9, "127.0.0.2");
    assert.equal((await errorOf(socket)).code, "ERR_IP_BLOCKED");
  });
}

/** Shows: `send` takes its arguments in every documented form, sends exactly those bytes, and fails with Node's codes. */
import assert from "node:assert/strict";
import type { Socket } from "node:dgram";
import { once } from "node:events";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { MODULES, assertEngine } from "./modules.ts";
import { bound, call, collect, drained, errorOf, noIPv6, open, portOf, text } from "./sockets.ts";

/** `send` with whatever arguments. */
function send(socket: Socket, ...args: unknown[]): void {
  assert.equal(call(socket, "send", ...args), undefined);
}

/** `send` with whatever arguments, and what it calls back with. */
function sent(socket: Socket, ...args: unknown[]): Promise<{ error: NodeJS.ErrnoException | null; length?: number }> {
  return new Promise((resolve) => {
    let isSync = true;
    send(socket, ...args, (error: NodeJS.ErrnoException | null, length?: number) => {
      assert.equal(isSync, false, "not before send returns");
      resolve(length === undefined ? { error } : { error, length });
    });
    isSync = false;
  });
}

const hello = Buffer.from("hello world");
const words = new Uint16Array([0x6568, 0x6c6c, 0x216f]); // "hello!" in memory

/** What is sent, and the text that arrives. */
const contents: readonly (readonly [args: readonly unknown[], text: string])[] = [
  [[hello], "hello world"],
  [["a string"], "a string"],
  [["größer €"], "größer €"],
  [[new Uint8Array(hello)], "hello world"],
  [[hello.subarray(6)], "world"],
  [[words], "hello!"],
  [[new DataView(words.buffer, 2, 3)], "llo"],
  [
    [["one", Buffer.from(" two "), new Uint8Array(hello.subarray(0, 5)), new DataView(words.buffer, 4)]],
    "one two helloo!",
  ],
  [[[]], ""],
  [[[""]], ""],
  [[""], ""],
  [[Buffer.alloc(0)], ""],
  [[["", Buffer.alloc(0)]], ""],
  [[hello, 6, 5], "world"],
  [[hello, 0, 11], "hello world"],
  [[hello, 11, 0], ""],
  [["a string", 2, 6], "string"],
  [[new DataView(words.buffer), 1, 4], "ello"],
  [[words, 0, 2], "he"],
];

for (const dgram of MODULES) {
  const { name } = dgram;

  test(`${name}: every form of content, with and without a callback, with and without an address`, async (t) => {
    const [receiver, sender] = [await bound(t, dgram), await bound(t, dgram)];
    const port = portOf(receiver);
    for (const [args, expected] of contents) {
      for (const to of [[port, "127.0.0.1"], [port], [port, undefined], [port, null], [port, ""]]) {
        if (args.length > 1 && to.length > 1 && to[1] === null) continue; // that is no address for this form
        const messages = collect(receiver, 2);
        send(sender, ...args, ...to);
        const length = Buffer.byteLength(expected);
        assert.deepEqual(await sent(sender, ...args, ...to), { error: null, length });
        for (const { bytes, rinfo } of await messages) {
          assert.equal(String(bytes), expected);
          assert.deepEqual({ ...rinfo }, { address: "127.0.0.1", family: "IPv4", port: portOf(sender), size: length });
        }
      }
    }
    assertEngine(receiver);
  });

  test(`${name}: the same forms on a connected socket`, async (t) => {
    const [receiver, sender] = [await bound(t, dgram), open(t, dgram)];
    sender.connect(portOf(receiver), "127.0.0.1");
    await once(sender, "connect");
    for (const [args, expected] of contents) {
      const messages = collect(receiver, 2);
      send(sender, ...args);
      assert.deepEqual(await sent(sender, ...args), { error: null, length: Buffer.byteLength(expected) });
      for (const { bytes } of await messages) assert.equal(String(bytes), expected);
    }
  });

  test(`${name}: the bytes may be changed once the callback has come`, async (t) => {
    const [receiver, sender] = [await bound(t, dgram), await bound(t, dgram)];
    const bytes = Buffer.from("before");
    const heard = text(receiver);
    send(sender, bytes, portOf(receiver), "127.0.0.1");
    await sent(sender, bytes, portOf(receiver));
    bytes.write("after!");
    assert.equal(await heard, "before");
  });

  test(`${name}: before it is bound a socket binds itself, and sends in order`, async (t) => {
    const receiver = await bound(t, dgram);
    const sender = open(t, dgram);
    let listening = 0;
    sender.on("listening", () => listening++);
    const messages = collect(receiver, 3);
    const callbacks = ["one", "two"].map((each) => sent(sender, each, portOf(receiver), "127.0.0.1"));
    send(sender, [], portOf(receiver), "127.0.0.1");
    assert.throws(() => sender.bind(0), { code: "ERR_SOCKET_ALREADY_BOUND" }, "it is being bound");
    assert.deepEqual(
      (await messages).map(({ bytes }) => String(bytes)),
      ["one", "two", ""],
    );
    assert.deepEqual(await Promise.all(callbacks), [
      { error: null, length: 3 },
      { error: null, length: 3 },
    ]);
    assert.equal(listening, 1);
    const { address } = sender.address();
    assert.equal(address, "0.0.0.0");
    const heard = text(sender);
    send(receiver, "reply", portOf(sender), "127.0.0.1");
    assert.equal(await heard, "reply", "what binds itself receives, too");
    assertEngine(sender);
  });

  test(`${name}: bad arguments throw, and send nothing`, async (t) => {
    const [receiver, sender] = [await bound(t, dgram), await bound(t, dgram)];
    receiver.on("message", (message) => assert.fail(`${message.length} bytes were sent`));
    const port = portOf(receiver);
    const bad: readonly (readonly [args: unknown[], code: string])[] = [
      [[], "ERR_INVALID_ARG_TYPE"],
      [[23, port], "ERR_INVALID_ARG_TYPE"],
      [[null, port], "ERR_INVALID_ARG_TYPE"],
      [[new ArrayBuffer(4), port], "ERR_INVALID_ARG_TYPE"],
      [[[hello, 23], port], "ERR_INVALID_ARG_TYPE"],
      [[{}, 0, 1, port], "ERR_INVALID_ARG_TYPE"],
      [[hello, 12, 0, port], "ERR_BUFFER_OUT_OF_BOUNDS"],
      [[hello, 6, 6, port], "ERR_BUFFER_OUT_OF_BOUNDS"],
      [[hello, -1, 1, port], "ERR_BUFFER_OUT_OF_BOUNDS"],
      [[hello], "ERR_SOCKET_BAD_PORT"],
      [[hello, 0, "127.0.0.1"], "ERR_SOCKET_BAD_PORT"],
      [[hello, 65_536, "127.0.0.1"], "ERR_SOCKET_BAD_PORT"],
      [[hello, -1, "127.0.0.1"], "ERR_SOCKET_BAD_PORT"],
      [[hello, 0, 5, 65_536, "127.0.0.1"], "ERR_SOCKET_BAD_PORT"],
      [[hello, port, 127], "ERR_INVALID_ARG_TYPE"],
      [[hello, port, {}], "ERR_INVALID_ARG_TYPE"],
      [[hello, 0, 5, port, true], "ERR_INVALID_ARG_TYPE"],
    ];
    for (const [args, code] of bad) assert.throws(() => send(sender, ...args), { code }, String(args));
    await drained(receiver);
  });

  test(`${name}: a host name is looked up; one that is none goes to the callback, or to 'error'`, async (t) => {
    const [receiver, sender] = [await bound(t, dgram), await bound(t, dgram)];
    const heard = text(receiver);
    assert.equal((await sent(sender, "by name", portOf(receiver), "localhost")).error, null);
    assert.equal(await heard, "by name");
    const { error } = await sent(sender, "lost", 9, "no-such-host.invalid");
    assert.equal(error?.syscall, "getaddrinfo");
    send(sender, "lost", 9, "no-such-host.invalid");
    assert.equal((await errorOf(sender)).syscall, "getaddrinfo");
  });

  test(`${name}: a message that is too long: an error for the callback, silence without one`, async (t) => {
    const [receiver, sender] = [await bound(t, dgram), await bound(t, dgram)];
    const port = portOf(receiver);
    sender.on("error", (error) => assert.fail(error));
    const { error } = await sent(sender, Buffer.alloc(65_508), port, "127.0.0.1");
    const { code, syscall, message } = error ?? {};
    assert.deepEqual([code, syscall, message], ["EMSGSIZE", "send", `send EMSGSIZE 127.0.0.1:${port}`]);
    assert.deepEqual([Reflect.get(Object(error), "address"), Reflect.get(Object(error), "port")], ["127.0.0.1", port]);
    send(sender, Buffer.alloc(65_508), port, "127.0.0.1");
    const heard = text(receiver);
    send(sender, "fits", port, "127.0.0.1");
    assert.equal(await heard, "fits");
  });

  test(`${name}: the send queue is empty when there is nothing to wait for`, async (t) => {
    const [receiver, sender] = [await bound(t, dgram), await bound(t, dgram)];
    const heard = text(receiver);
    send(sender, "at once", portOf(receiver));
    await heard;
    assert.deepEqual([sender.getSendQueueSize(), sender.getSendQueueCount()], [0, 0]);
  });

  test(`${name}: an IPv4 address on a udp6 socket, and a udp6 socket to itself`, { skip: noIPv6 }, async (t) => {
    const [receiver, sender] = [await bound(t, dgram, "udp6"), await bound(t, dgram, "udp6")];
    const heard = text(receiver);
    assert.equal((await sent(sender, "six", portOf(receiver))).error, null);
    assert.equal(await heard, "six", "the default address is ::1");
    const { error } = await sent(sender, "four", 9, "127.0.0.1");
    assert.match(error?.code ?? "none", /^(?:ENETUNREACH|EINVAL|EAI_ADDRFAMILY|ENOTFOUND)$/);
  });

  test(`${name}: a socket that answers from its 'message' listener`, async (t) => {
    const [server, client] = [await bound(t, dgram), await bound(t, dgram)];
    server.on("message", (message, { port, address }) => server.send([message, "!"], port, address));
    const answers = collect(client, 50);
    for (let i = 0; i < 50; i++) send(client, `call ${i}`, portOf(server), "127.0.0.1");
    const heard = (await answers).map(({ bytes }) => String(bytes));
    assert.deepEqual(
      heard,
      Array.from({ length: 50 }, (_, i) => `call ${i}!`),
    );
    await turn();
  });
}

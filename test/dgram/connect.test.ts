/** Shows: connected sockets: `connect`, `disconnect`, `remoteAddress`, who is heard, and a refusal is an 'error' that the socket survives. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { until } from "../support/at-rest.ts";
import { RECEIVING, assertConnectedEngine, lacksMethod } from "./modules.ts";
import { bound, call, collect, drained, errorOf, noIPv6, open, portOf, senderTo, text, wrong } from "./sockets.ts";

for (const dgram of RECEIVING) {
  const { name } = dgram;

  test(`${name}: connect's forms: an event and a callback, later; an unbound socket binds itself`, async (t) => {
    const peer = await bound(t, dgram);
    const port = portOf(peer);
    for (const args of [[port], [port, "127.0.0.1"], [port, "localhost"], [port, ""], [port, undefined]]) {
      const socket = open(t, dgram);
      let events = 0;
      socket.on("connect", () => events++);
      await new Promise((resolve) => {
        assert.equal(call(socket, "connect", ...args, resolve), undefined);
        assert.equal(events, 0);
      });
      assert.equal(events, 1);
      assert.deepEqual(socket.remoteAddress(), { address: "127.0.0.1", family: "IPv4", port });
      assert.ok(portOf(socket) > 0);
      assertConnectedEngine(socket);
      const heard = text(socket);
      peer.send("hello", portOf(socket), "127.0.0.1");
      assert.equal(await heard, "hello");
    }
  });

  test(`${name}: what is refused, by state`, async (t) => {
    const peer = await bound(t, dgram);
    const socket = await bound(t, dgram);
    const notConnected = { code: "ERR_SOCKET_DGRAM_NOT_CONNECTED" };
    const isConnected = { code: "ERR_SOCKET_DGRAM_IS_CONNECTED" };
    assert.throws(() => socket.remoteAddress(), notConnected);
    assert.throws(() => socket.disconnect(), notConnected);
    socket.connect(portOf(peer));
    assert.throws(() => socket.connect(portOf(peer)), isConnected, "while connecting");
    assert.throws(() => socket.remoteAddress(), notConnected, "while connecting");
    await once(socket, "connect");
    assert.throws(() => socket.connect(portOf(peer)), isConnected);
    assert.throws(() => socket.send("text", 0, 4, portOf(peer)), isConnected);
    assert.throws(() => socket.send(Buffer.from("text"), 0, 4, portOf(peer), "127.0.0.1"), isConnected);
    socket.disconnect();
    assert.throws(() => socket.disconnect(), notConnected);
    assert.throws(() => socket.remoteAddress(), notConnected);
    assert.throws(() => socket.send("nowhere to"), { code: "ERR_SOCKET_BAD_PORT" });
    for (const port of [0, -1, 65_536, "port", undefined, 1.5])
      assert.throws(() => socket.connect(wrong(port)), { code: "ERR_SOCKET_BAD_PORT" }, String(port));
    assert.throws(() => socket.connect(9, wrong(127)), { code: "ERR_INVALID_ARG_TYPE" });
  });

  test(`${name}: a connected socket hears only its peer; after disconnect everybody`, async (t) => {
    const [peer, stranger, other] = [await bound(t, dgram), await bound(t, dgram), await bound(t, dgram)];
    const port = portOf(other);
    other.close();
    const socket = open(t, dgram).bind(port, "127.0.0.1"); // by number: Linux takes a port that it has chosen itself back at disconnect
    await once(socket, "listening");
    socket.connect(portOf(peer));
    await once(socket, "connect");
    const heard: string[] = [];
    socket.on("message", (message) => heard.push(String(message)));
    const shout = (message: string): Promise<unknown> =>
      new Promise((resolve) => stranger.send(message, port, "127.0.0.1", resolve));
    await shout("not heard");
    peer.send("from the peer", port, "127.0.0.1");
    await until(() => heard.length === 1, "the peer is heard");
    socket.disconnect();
    await shout("from anybody");
    await until(() => heard.length === 2, "the stranger is heard");
    assert.deepEqual(heard, ["from the peer", "from anybody"]);
  });

  test(`${name}: messages that were queued before connect are still delivered`, async (t) => {
    const [socket, peer] = [await bound(t, dgram), await bound(t, dgram)];
    const sender = await senderTo(t, socket);
    sender.send("first");
    socket.connect(portOf(peer));
    const heard = await collect(socket, 1);
    assert.equal(heard[0]?.rinfo.port, portOf(sender));
  });

  test(`${name}: a name that is none goes to the callback, or to 'error'; then another attempt works`, async (t) => {
    const peer = await bound(t, dgram);
    const socket = open(t, dgram);
    socket.on("connect", () => assert.equal(isRight, true));
    let isRight = false;
    const error = await new Promise<unknown>((resolve) =>
      socket.connect(9, "no-such-host.invalid", resolve as () => void),
    );
    assert.equal(Reflect.get(Object(error), "syscall"), "getaddrinfo");
    assert.equal(socket.listenerCount("connect"), 1, "the callback is no listener any more");
    socket.connect(9, "no-such-host.invalid");
    assert.equal((await errorOf(socket)).syscall, "getaddrinfo");
    isRight = true;
    socket.connect(portOf(peer));
    await once(socket, "connect");
  });

  test(`${name}: a refusal (ICMP) is an 'error', and the socket lives on`, async (t) => {
    const gone = await bound(t, dgram);
    const port = portOf(gone);
    gone.close();
    const socket = open(t, dgram);
    socket.connect(port, "127.0.0.1");
    await once(socket, "connect");
    for (let i = 0; i < 3; i++) {
      socket.send("is anybody there?");
      const error = await errorOf(socket);
      assert.deepEqual([error.code, error.syscall, error.message], ["ECONNREFUSED", "recvmsg", "recvmsg ECONNREFUSED"]);
      assert.ok((error.errno ?? 0) < 0);
    }
    const back = open(t, dgram);
    back.bind(port, "127.0.0.1");
    await once(back, "listening");
    const [question, answer] = [text(back), text(socket)];
    socket.send("and now?");
    assert.equal(await question, "and now?");
    back.send("yes", portOf(socket), "127.0.0.1");
    assert.equal(await answer, "yes");
    assertConnectedEngine(socket);
  });

  test(`${name}: refusals among messages: none of the messages is lost`, async (t) => {
    const [socket, peer] = [await bound(t, dgram), await bound(t, dgram)];
    const port = portOf(peer);
    socket.connect(port);
    await once(socket, "connect");
    const codes: unknown[] = [];
    socket.on("error", (error) => codes.push(Reflect.get(error, "code")));
    const heard = collect(socket, 20);
    await new Promise((resolve) => {
      for (let i = 0; i < 20; i++) peer.send(`${i}`, portOf(socket), "127.0.0.1", i === 19 ? resolve : undefined);
    });
    peer.close();
    socket.send("too late");
    assert.deepEqual(
      (await heard).map(({ bytes }) => Number(String(bytes))),
      Array.from({ length: 20 }, (_, i) => i),
    );
    await until(() => codes.length > 0, "the refusal is told");
    assert.deepEqual(codes, ["ECONNREFUSED"]);
  });

  test(`${name}: without a connection a refusal is nobody's`, async (t) => {
    const gone = await bound(t, dgram);
    const port = portOf(gone);
    gone.close();
    const socket = await bound(t, dgram);
    socket.on("error", (error) => assert.fail(error));
    await new Promise((resolve) => socket.send("to nobody", port, "127.0.0.1", resolve));
    await drained(socket);
  });

  test(`${name}: udp6`, { skip: noIPv6 }, async (t) => {
    const [peer, socket] = [await bound(t, dgram, "udp6"), open(t, dgram, "udp6")];
    socket.connect(portOf(peer));
    await once(socket, "connect");
    assert.deepEqual(socket.remoteAddress(), { address: "::1", family: "IPv6", port: portOf(peer) });
    const heard = text(peer);
    socket.send("six");
    assert.equal(await heard, "six");
  });

  test(`${name}: connectSync connects at once, 'connect' follows`, { skip: lacksMethod("connectSync") }, async (t) => {
    const peer = await bound(t, dgram);
    const socket = open(t, dgram);
    const connect = (...args: unknown[]): unknown => call(socket, "connectSync", ...args);
    assert.throws(() => connect(portOf(peer), "localhost"), { code: "ERR_INVALID_ARG_VALUE" });
    connect(portOf(peer));
    assert.equal(socket.remoteAddress().port, portOf(peer));
    await once(socket, "connect");
    const heard = text(socket);
    peer.send("to whom has connected itself", portOf(socket), "127.0.0.1");
    assert.equal(await heard, "to whom has connected itself");
    await turn();
    assertConnectedEngine(socket);
  });
}

/** Shows: however a socket is closed, it is closed once, tells so later, gives its port back at once and emits no 'message' any more. */
import assert from "node:assert/strict";
import type { Socket } from "node:dgram";
import { once } from "node:events";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { RECEIVING, statsOf } from "./modules.ts";
import { bound, burst, collect, drained, numberOf, open, portOf, senderTo, wrong } from "./sockets.ts";

const NOT_RUNNING = { code: "ERR_SOCKET_DGRAM_NOT_RUNNING", message: "Not running" };

for (const dgram of RECEIVING) {
  const { name } = dgram;

  test(`${name}: close returns the socket; its callback and 'close' come later, once`, async (t) => {
    for (const socket of [open(t, dgram), await bound(t, dgram)]) {
      const told: string[] = [];
      socket.on("close", () => told.push("event"));
      assert.equal(
        socket.close(function (this: unknown) {
          assert.equal(this, socket);
          told.push("callback");
        }),
        socket,
      );
      assert.deepEqual(told, []);
      await once(socket, "close");
      await turn();
      assert.deepEqual(told, ["event", "callback"]);
    }
  });

  test(`${name}: what a closed socket refuses, and what it lets pass`, async (t) => {
    for (const socket of [open(t, dgram), await bound(t, dgram)]) {
      socket.close();
      for (const when of ["in the same turn", "later"]) {
        assert.throws(() => socket.close(), NOT_RUNNING, when);
        assert.throws(() => socket.bind(), NOT_RUNNING);
        assert.throws(() => socket.address(), NOT_RUNNING);
        assert.throws(() => socket.remoteAddress(), NOT_RUNNING);
        assert.throws(() => socket.send("text", 9, "127.0.0.1"), NOT_RUNNING);
        assert.throws(() => socket.addMembership("224.0.0.114"), NOT_RUNNING);
        assert.throws(() => socket.dropMembership("224.0.0.114"), NOT_RUNNING);
        assert.throws(() => socket.setMulticastInterface("127.0.0.1"), NOT_RUNNING);
        assert.throws(() => socket.addSourceSpecificMembership("127.0.0.1", "232.0.0.1"), NOT_RUNNING);
        for (const method of [
          "setBroadcast",
          "setTTL",
          "setMulticastTTL",
          "getRecvBufferSize",
          "getSendQueueSize",
        ] as const)
          assert.throws(() => Reflect.apply(socket[method], socket, [1]), { name: "TypeError" }, method);
        assert.equal(socket.ref(), socket);
        assert.equal(socket.unref(), socket);
        await turn();
      }
      assert.equal(statsOf(socket)?.kernelDrops ?? 0, 0, "stats() can still be asked");
    }
  });

  test(`${name}: the port is free the moment close returns, after traffic, too`, async (t) => {
    let socket = await bound(t, dgram);
    const port = portOf(socket);
    for (let i = 0; i < 5; i++) {
      const sender = await senderTo(t, socket);
      const heard = collect(socket, 10);
      burst(sender, 10);
      await heard;
      burst(sender, 10); // for nobody
      socket.close();
      socket = open(t, dgram);
      socket.bind(port, "127.0.0.1");
      socket.on("message", () => assert.fail("that was for another socket"));
      await once(socket, "listening");
      await turn();
      socket.removeAllListeners("message");
    }
  });

  test(`${name}: closed in a listener in the middle of a burst: no 'message' after that`, async (t) => {
    const socket = await bound(t, dgram);
    const port = portOf(socket);
    const numbers: number[] = [];
    socket.on("message", (message) => {
      numbers.push(numberOf(message));
      if (numbers.length !== 5) return;
      socket.close(() => numbers.push(-1));
      assert.throws(() => socket.close(), NOT_RUNNING);
      next = open(t, dgram);
      next.bind(port, "127.0.0.1");
    });
    let next: Socket | null = null;
    burst(await senderTo(t, socket));
    await once(socket, "close");
    for (let i = 0; i < 5; i++) await turn();
    assert.deepEqual(numbers, [0, 1, 2, 3, 4, -1]);
    assert.equal(portOf(next ?? socket), port, "and the port was free again in the listener");
  });

  test(`${name}: closed between two messages of a burst, by a tick and by a microtask`, async (t) => {
    const tick = (callback: () => void): void => process.nextTick(callback);
    for (const defer of [tick, queueMicrotask]) {
      const socket = await bound(t, dgram);
      const numbers: number[] = [];
      socket.on("message", (message) => {
        numbers.push(numberOf(message));
        if (numbers.length === 7) defer(() => socket.close());
      });
      burst(await senderTo(t, socket));
      await once(socket, "close");
      for (let i = 0; i < 5; i++) await turn();
      assert.deepEqual(numbers, [0, 1, 2, 3, 4, 5, 6], defer.name);
    }
  });

  test(`${name}: a listener closes other sockets that have messages waiting`, async (t) => {
    const sockets = await Promise.all([1, 2, 3, 4].map(() => bound(t, dgram)));
    const closed = sockets.map((socket) => once(socket, "close"));
    const heardBy: Socket[] = [];
    for (const socket of sockets)
      socket.on("message", () => {
        if (heardBy.push(socket) === 1) for (const other of sockets) if (other !== socket) other.close();
        if (heardBy.length === 40) socket.close();
      });
    const senders = await Promise.all(sockets.map((socket) => senderTo(t, socket)));
    for (const sender of senders) burst(sender, 40);
    await Promise.all(closed);
    assert.equal(heardBy.length, 40);
    assert.equal(new Set(heardBy).size, 1, "the first one only");
  });

  test(`${name}: closed while sends wait for the bind: it closes then, and the sends are given up`, async (t) => {
    const receiver = await bound(t, dgram);
    receiver.on("message", () => assert.fail("given up"));
    const socket = open(t, dgram);
    socket.send("one", portOf(receiver), "127.0.0.1", () => assert.fail("given up"));
    socket.send("two", portOf(receiver), "127.0.0.1");
    assert.equal(socket.close(), socket);
    await once(socket, "close");
    assert.throws(() => socket.close(), NOT_RUNNING);
    await drained(receiver);
  });

  test(`${name}: closed in 'listening', in bind's callback, in 'connect'`, async (t) => {
    const peer = await bound(t, dgram);
    const [first, second, third] = [open(t, dgram), open(t, dgram), open(t, dgram)];
    first.on("listening", () => first.close()).bind(0, "127.0.0.1");
    second.bind(0, "127.0.0.1", () => second.close());
    third.connect(portOf(peer), () => third.close());
    await Promise.all([first, second, third].map((socket) => once(socket, "close")));
    for (const socket of [first, second, third]) assert.throws(() => socket.address(), NOT_RUNNING);
  });

  test(`${name}: Symbol.asyncDispose closes, and is content with a closed socket`, async (t) => {
    const socket = await bound(t, dgram);
    let closes = 0;
    socket.on("close", () => closes++);
    await socket[Symbol.asyncDispose]();
    assert.equal(closes, 1);
    await socket[Symbol.asyncDispose]();
    assert.equal(closes, 1);
    assert.throws(() => socket.address(), NOT_RUNNING);
  });

  test(`${name}: a signal closes: before anything, while bound, in a burst; later it does nothing`, async (t) => {
    const early = open(t, dgram, { type: "udp4", signal: AbortSignal.abort() });
    await once(early, "close");
    assert.throws(() => early.bind(), NOT_RUNNING);

    const controller = new AbortController();
    const socket = await bound(t, dgram, { type: "udp4", signal: controller.signal });
    const numbers: number[] = [];
    socket.on("message", (message) => {
      if (numbers.push(numberOf(message)) === 3) controller.abort();
    });
    burst(await senderTo(t, socket), 40);
    await once(socket, "close");
    await turn();
    assert.deepEqual(numbers, [0, 1, 2]);

    const idle = new AbortController();
    const closed = await bound(t, dgram, { type: "udp4", signal: idle.signal });
    closed.close();
    await once(closed, "close");
    idle.abort();
    await turn();
    assert.throws(() => closed.address(), NOT_RUNNING);
  });

  test(`${name}: what was received stays good after the close`, async (t) => {
    const socket = await bound(t, dgram);
    const heard = collect(socket, 30);
    burst(await senderTo(t, socket), 30);
    const messages = await heard;
    socket.close();
    await once(socket, "close");
    for (let i = 0; i < 3; i++) {
      const other = await bound(t, dgram);
      const others = collect(other, 30);
      burst(await senderTo(t, other), 30, 1000);
      await others;
    }
    assert.deepEqual(
      messages.map(({ bytes }) => numberOf(bytes)),
      Array.from({ length: 30 }, (_, i) => i),
    );
  });

  test(`${name}: close's callback must be a function to be called`, async (t) => {
    const socket = await bound(t, dgram);
    socket.close(wrong("no function"));
    await once(socket, "close");
  });
}

/** Shows: `bind` takes its arguments in every documented form, tells when it is done, and fails with Node's codes on a socket that stays usable. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { MODULES, assertEngine, lacksMethod, lacksOption } from "./modules.ts";
import { bound, call, collect, errorOf, noIPv6, open, portOf, senderTo, text } from "./sockets.ts";

for (const dgram of MODULES) {
  const { name } = dgram;

  test(`${name}: bind's forms`, async (t) => {
    const forms: readonly (readonly [args: unknown[], address: string])[] = [
      [[], "0.0.0.0"],
      [[0], "0.0.0.0"],
      [[undefined], "0.0.0.0"],
      [[null], "0.0.0.0"],
      [[{}], "0.0.0.0"],
      [[{ port: 0 }], "0.0.0.0"],
      [[{ exclusive: true }], "0.0.0.0"],
      [[0, "127.0.0.1"], "127.0.0.1"],
      [[0, "localhost"], "127.0.0.1"],
      [[0, ""], "0.0.0.0"],
      [[{ address: "127.0.0.1" }], "127.0.0.1"],
      [[{ port: 0, address: "127.0.0.1", exclusive: true }], "127.0.0.1"],
    ];
    for (const [args, address] of forms) {
      const socket = open(t, dgram);
      assert.equal(call(socket, "bind", ...args), socket, "returns the socket");
      await once(socket, "listening");
      assert.deepEqual(socket.address(), { address, family: "IPv4", port: portOf(socket) });
      assert.ok(portOf(socket) > 0);
      assertEngine(socket);
    }
  });

  test(`${name}: bind's callback, in every place, is called once the socket is bound, with the socket as this`, async (t) => {
    for (const args of [[], [0], [0, "127.0.0.1"], [{ port: 0 }]]) {
      const socket = open(t, dgram);
      let isSync = true;
      const self = new Promise((resolve) => {
        const callback = function (this: unknown): void {
          assert.equal(isSync, false, "not before bind returns");
          resolve(this);
        };
        call(socket, "bind", ...args, callback);
      });
      isSync = false;
      assert.equal(await self, socket);
      assert.ok(portOf(socket) > 0);
      assert.equal(socket.listenerCount("listening"), 0);
    }
  });

  test(`${name}: 'listening' comes later, and once`, async (t) => {
    const socket = open(t, dgram);
    let count = 0;
    socket.on("listening", () => count++);
    socket.bind(0, "127.0.0.1");
    assert.equal(count, 0);
    assert.throws(() => socket.address(), { code: "EBADF", syscall: "getsockname" });
    await once(socket, "listening");
    await turn();
    assert.equal(count, 1);
  });

  test(`${name}: a port that is in use is an 'error'; the socket can then be bound elsewhere`, async (t) => {
    const first = await bound(t, dgram);
    const port = portOf(first);
    const socket = open(t, dgram);
    socket.bind(port, "127.0.0.1", () => assert.fail("the callback is for success"));
    const error = await errorOf(socket);
    const { code, syscall, message } = error;
    assert.deepEqual([code, syscall, message], ["EADDRINUSE", "bind", `bind EADDRINUSE 127.0.0.1:${port}`]);
    assert.deepEqual([Reflect.get(error, "address"), Reflect.get(error, "port")], ["127.0.0.1", port]);
    socket.bind(0, "127.0.0.1");
    await once(socket, "listening");
    const heard = text(socket);
    (await senderTo(t, socket)).send("bound after all");
    assert.equal(await heard, "bound after all");
    assertEngine(socket);
  });

  test(`${name}: an address that is not this machine's, a name that is none`, async (t) => {
    const socket = open(t, dgram);
    socket.bind(0, "203.0.113.1"); // for documentation: nobody has it
    const foreign = await errorOf(socket);
    assert.deepEqual([foreign.code, foreign.syscall], ["EADDRNOTAVAIL", "bind"]);
    socket.bind(0, "no-such-host.invalid");
    const unknown = await errorOf(socket);
    assert.match(unknown.code ?? "", /^(?:ENOTFOUND|EAI_AGAIN)$/);
    assert.equal(unknown.syscall, "getaddrinfo");
    socket.bind(0, "127.0.0.1");
    await once(socket, "listening");
  });

  test(`${name}: twice is once too often`, async (t) => {
    const socket = open(t, dgram);
    socket.bind(0, "127.0.0.1");
    assert.throws(() => socket.bind(0), { code: "ERR_SOCKET_ALREADY_BOUND" });
    await once(socket, "listening");
    assert.throws(() => socket.bind(0), { code: "ERR_SOCKET_ALREADY_BOUND" });
    const heard = text(socket);
    (await senderTo(t, socket)).send("still there");
    assert.equal(await heard, "still there");
  });

  test(`${name}: a descriptor that is no UDP socket is refused`, (t) => {
    for (const fd of [1, 2]) {
      const attempt = (): unknown => open(t, dgram).bind({ fd });
      assert.throws(attempt, { code: "ERR_INVALID_FD_TYPE" });
    }
    assert.throws(() => open(t, dgram).bind({ fd: 19_999 }), { code: "ERR_INVALID_FD_TYPE" });
  });

  test(`${name}: closed while it is being bound: no 'listening'`, async (t) => {
    const socket = open(t, dgram);
    socket.on("listening", () => assert.fail("closed before"));
    socket.bind(0, "localhost");
    socket.close();
    await once(socket, "close");
    for (let i = 0; i < 5; i++) await turn();
    assert.throws(() => socket.bind(0), { code: "ERR_SOCKET_DGRAM_NOT_RUNNING" });
  });

  test(`${name}: reuseAddr lets two sockets have one port`, async (t) => {
    const first = await bound(t, dgram, { type: "udp4", reuseAddr: true });
    const second = open(t, dgram, { type: "udp4", reuseAddr: true });
    second.bind(portOf(first), "127.0.0.1");
    await once(second, "listening");
    assert.equal(portOf(second), portOf(first));
    const third = open(t, dgram);
    third.bind(portOf(first), "127.0.0.1");
    assert.equal((await errorOf(third)).code, "EADDRINUSE");
  });

  test(`${name}: reusePort spreads senders over sockets`, { skip: lacksOption("reusePort") }, async (t) => {
    const options = { type: "udp4", reusePort: true } as const;
    const first = await bound(t, dgram, options);
    const second = open(t, dgram, options);
    second.bind(portOf(first), "127.0.0.1");
    await once(second, "listening");
    let [atFirst, atSecond] = [0, 0];
    const done = new Promise<void>((resolve) => {
      const check = (): void => void (atFirst + atSecond === 40 && resolve());
      first.on("message", () => atFirst++).on("message", check);
      second.on("message", () => atSecond++).on("message", check);
    });
    for (let i = 0; i < 40; i++) (await senderTo(t, first)).send("spread");
    await done;
    assert.ok(atFirst > 0 && atSecond > 0, `${atFirst} and ${atSecond}`);
  });

  test(`${name}: udp6, and IPv4 senders to a socket on ::`, { skip: noIPv6 }, async (t) => {
    const socket = await bound(t, dgram, "udp6");
    assert.deepEqual(socket.address(), { address: "::1", family: "IPv6", port: portOf(socket) });
    const six = collect(socket, 1);
    const sender = await senderTo(t, socket, "udp6");
    sender.send("six");
    const rinfo = { address: "::1", family: "IPv6", port: portOf(sender), size: 3 };
    assert.deepEqual({ ...(await six)[0]?.rinfo }, rinfo);

    const all = open(t, dgram, "udp6").bind();
    await once(all, "listening");
    assert.equal(all.address().address, "::");
    const mapped = collect(all, 1);
    const four = await senderTo(t, all, "udp4");
    four.send("four");
    assert.deepEqual(
      { ...(await mapped)[0]?.rinfo },
      { address: "::ffff:127.0.0.1", family: "IPv6", port: portOf(four), size: 4 },
    );
  });

  test(`${name}: ipv6Only leaves the port to an IPv4 socket`, { skip: noIPv6 }, async (t) => {
    const six = open(t, dgram, { type: "udp6", ipv6Only: true }).bind();
    await once(six, "listening");
    const four = open(t, dgram);
    four.bind(portOf(six));
    await once(four, "listening");
    six.on("message", () => assert.fail("this one is IPv6 only"));
    const heard = text(four);
    (await senderTo(t, four)).send("for IPv4");
    assert.equal(await heard, "for IPv4");
  });

  test(`${name}: bindSync binds at once, 'listening' follows`, { skip: lacksMethod("bindSync") }, async (t) => {
    const socket = open(t, dgram);
    const bind = (options?: object): unknown => call(socket, "bindSync", options);
    assert.throws(() => bind({ address: "localhost" }), { code: "ERR_INVALID_ARG_VALUE" });
    assert.throws(() => bind({ port: 70_000 }), { code: "ERR_SOCKET_BAD_PORT" });
    const listening = once(socket, "listening");
    assert.deepEqual(bind({ address: "127.0.0.1" }), socket.address());
    assert.throws(() => bind(), { code: "ERR_SOCKET_ALREADY_BOUND" });
    const heard = text(socket);
    await listening;
    (await senderTo(t, socket)).send("bound at once");
    assert.equal(await heard, "bound at once");
    assertEngine(socket);
    const again = (): unknown => call(open(t, dgram), "bindSync", { port: portOf(socket), address: "127.0.0.1" });
    assert.throws(again, { code: "EADDRINUSE" });
  });

  test(`${name}: a port out of range is cut to 16 bits, as ever`, async (t) => {
    const socket = open(t, dgram);
    socket.bind(65_536, "127.0.0.1");
    await once(socket, "listening");
    assert.ok(portOf(socket) > 0);
  });
}

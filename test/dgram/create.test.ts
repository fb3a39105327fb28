/** Shows: sockets are made in every documented way, bad options are refused with Node's codes, and what is made is a `dgram.Socket`. */
import assert from "node:assert/strict";
import diagnostics from "node:diagnostics_channel";
import nodeDgram from "node:dgram";
import { EventEmitter, once } from "node:events";
import { BlockList } from "node:net";
import { test } from "node:test";
import { MODULES, assertEngine, lacksOption } from "./modules.ts";
import { open, senderTo, text, wrong } from "./sockets.ts";
import { accelerate, createSocket } from "../../src/dgram/index.ts";

for (const dgram of MODULES) {
  const { name, specifier, createSocket, Socket } = dgram;

  test(`${name}: the module has names, and a default export with the same ones`, async () => {
    const module = (await import(specifier)) as { default: object; createSocket: unknown; Socket: unknown };
    assert.deepEqual([module.createSocket, module.Socket], [createSocket, Socket]);
    assert.equal(Reflect.get(module.default, "createSocket"), createSocket);
    assert.equal(Reflect.get(module.default, "Socket"), Socket);
    assert.deepEqual([createSocket.name, Socket.name], ["createSocket", "Socket"]);
  });

  test(`${name}: createSocket takes a type, or options with a type`, (t) => {
    for (const type of ["udp4", "udp6"] as const)
      for (const options of [type, { type }]) {
        const socket = open(t, dgram, options);
        assert.equal(Reflect.get(socket, "type"), type);
        assert.ok(socket instanceof Socket);
        assert.ok(socket instanceof nodeDgram.Socket, "for programs that look for dgram.Socket");
        assert.ok(socket instanceof EventEmitter);
      }
  });

  test(`${name}: a socket can be made with new, too`, (t) => {
    // The types hide the constructor.
    const Constructor = Socket as unknown as new (type: string, listener?: () => void) => nodeDgram.Socket;
    const listener = (): void => {};
    const socket = new Constructor("udp4", listener);
    t.after(() => socket.close());
    assert.deepEqual(socket.listeners("message"), [listener]);
    assert.ok(socket instanceof Socket);
  });

  test(`${name}: createSocket's listener is a 'message' listener, and what is no function is ignored`, async (t) => {
    const listener = (): void => {};
    const socket = open(t, dgram, "udp4", listener);
    assert.deepEqual(socket.listeners("message"), [listener]);
    assert.equal(open(t, dgram).listenerCount("message"), 0);
    assert.equal(open(t, dgram, "udp4", wrong("no function")).listenerCount("message"), 0);

    const texts: string[] = [];
    const receiver = createSocket({ type: "udp4" }, function (this: nodeDgram.Socket, message) {
      texts.push(String(message));
      this.close();
    });
    receiver.bind(0, "127.0.0.1");
    await once(receiver, "listening");
    (await senderTo(t, receiver)).send("heard");
    await once(receiver, "close");
    assert.deepEqual(texts, ["heard"]);
  });

  test(`${name}: a type that is none is refused`, () => {
    const bad: unknown[] = ["udp5", "UDP4", "", "ipv4", 4, null, undefined, true, () => {}, {}, { type: "udp" }, []];
    for (const type of bad)
      assert.throws(() => createSocket(wrong(type)), { code: "ERR_SOCKET_BAD_TYPE", name: "TypeError" }, String(type));
  });

  test(`${name}: bad options are refused`, () => {
    const refused = (options: object, code: string): void =>
      assert.throws(() => createSocket(wrong({ type: "udp4", ...options })), { code });
    for (const option of ["recvBufferSize", "sendBufferSize"]) {
      refused({ [option]: "many" }, "ERR_INVALID_ARG_TYPE");
      refused({ [option]: -1 }, "ERR_OUT_OF_RANGE");
      refused({ [option]: 1.5 }, "ERR_OUT_OF_RANGE");
      refused({ [option]: 2 ** 32 }, "ERR_OUT_OF_RANGE");
    }
    refused({ lookup: "localhost" }, "ERR_INVALID_ARG_TYPE");
    refused({ lookup: null }, "ERR_INVALID_ARG_TYPE");
    refused({ signal: {} }, "ERR_INVALID_ARG_TYPE");
    refused({ signal: null }, "ERR_INVALID_ARG_TYPE");
  });

  test(`${name}: a block list that is none is refused`, { skip: lacksOption("blockLists") }, (t) => {
    for (const option of ["receiveBlockList", "sendBlockList"]) {
      const options = { type: "udp4", [option]: [] };
      assert.throws(() => createSocket(wrong(options)), { code: "ERR_INVALID_ARG_TYPE" }, option);
    }
    open(t, dgram, { type: "udp4", receiveBlockList: new BlockList(), sendBlockList: new BlockList() });
  });

  test(`${name}: a new socket is announced on the channel udp.socket, and nothing else is`, async (t) => {
    const announced: unknown[] = [];
    const listener = (message: unknown): void => void announced.push(Reflect.get(Object(message), "socket"));
    diagnostics.subscribe("udp.socket", listener);
    t.after(() => diagnostics.unsubscribe("udp.socket", listener));
    const socket = open(t, dgram);
    socket.bind(0, "127.0.0.1");
    await once(socket, "listening");
    assert.equal(announced.length, 1);
    assert.equal(announced[0], socket);
  });

  test(`${name}: a socket has no listeners but the user's, and no properties but Node's`, async (t) => {
    const node = nodeDgram.createSocket("udp4");
    t.after(() => node.close());
    const socket = open(t, dgram);
    socket.removeAllListeners("close"); // the one of this test
    const check = (): void => {
      assert.deepEqual(socket.eventNames(), []);
      assert.deepEqual(Object.keys(socket), Object.keys(node));
    };
    check();
    socket.bind(0, "127.0.0.1");
    check();
    await once(socket, "listening");
    check();
    assertEngine(socket);
    socket.close();
  });

  test(`${name}: removeAllListeners takes away what the user has put there, nothing else`, async (t) => {
    const socket = open(t, dgram);
    socket.removeAllListeners();
    socket.bind(0, "127.0.0.1");
    socket.removeAllListeners();
    await once(socket, "listening");
    assertEngine(socket);
    socket.close();
    await once(socket, "close");
  });

  test(`${name}: a class of one's own, with methods of its own`, async (t) => {
    const called: string[] = [];
    // The types hide the constructor.
    class Recorder extends (Socket as unknown as new (type: string) => nodeDgram.Socket) {
      override emit(event: string | symbol, ...args: unknown[]): boolean {
        called.push(`emit ${String(event)}`);
        return super.emit(event, ...args);
      }
      override close(callback?: () => void): this {
        called.push("close");
        return super.close(callback);
      }
    }
    const socket = new Recorder("udp4");
    socket.bind(0, "127.0.0.1");
    await once(socket, "listening");
    assertEngine(socket);
    const heard = text(socket);
    (await senderTo(t, socket)).send("recorded");
    assert.equal(await heard, "recorded");
    socket.close();
    await once(socket, "close");
    const events = called.filter((each) => !each.endsWith("Listener"));
    assert.deepEqual(events, ["emit listening", "emit message", "close", "emit close"]);
  });
}

test("jumbo/dgram: its own options are checked when the socket is made, and by accelerate()", async (t) => {
  const socket = open(t, MODULES[0] ?? assert.fail()).bind(0, "127.0.0.1");
  await once(socket, "listening");
  for (const own of [
    { coalesceMicroseconds: -1 },
    { coalesceMicroseconds: 1001 },
    { shareMemory: wrong(1) as boolean },
    { gro: wrong("yes") as boolean },
  ]) {
    const refused = {
      name: "JumboError",
      code: "ERR_JUMBO_OPTION_INVALID",
      message: new RegExp(`^${Object.keys(own)[0]} `),
    };
    assert.throws(() => createSocket({ type: "udp4", ...own }), refused);
    assert.throws(() => accelerate(socket, own), refused);
  }
});

/** Shows: what keeps a process alive and what lets it end: bound sockets, `ref`, `unref`, every way to close, `process.exit` in a listener. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { run } from "./child.ts";
import { MODULES } from "./modules.ts";

/** A timer that does not keep the process itself: says whether somebody else does, and closes `socket`. */
const ALIVE = `const alive = (socket, name) => setTimeout(() => { say(name); socket.close(); }, 250).unref();`;

/** Scripts, and what they say until the process ends. */
const endings: readonly (readonly [what: string, script: string, says: readonly string[]])[] = [
  [
    "bound sockets that are referenced keep the process",
    `${ALIVE}
     const keep = async (name, socket) => { alive(socket, name); await once(socket, "close"); };
     await keep("bound", await bound());
     await keep("unref, ref", (await bound()).unref().ref());
     const socket = dgram.createSocket("udp4").unref();
     await once(socket.bind(0, () => socket.ref()), "listening");
     await keep("unref, bind, ref", socket);`,
    ["bound", "unref, ref", "unref, bind, ref"],
  ],
  [
    "others do not",
    `${ALIVE}
     alive(dgram.createSocket("udp4"), "unbound");
     alive((await bound()).unref(), "unref");
     alive((await bound()).ref().ref().unref(), "ref, ref, unref");
     const early = dgram.createSocket("udp4").unref(); await once(early.bind(0), "listening"); alive(early, "unref, bind");
     const socket = dgram.createSocket("udp4");
     await once(socket.bind(0, () => socket.unref()), "listening");
     alive(socket, "unref in 'listening'");`,
    [],
  ],
  [
    "unref after messages",
    `const socket = await bound(); await burst(socket, 100); let n = 0;
     socket.on("message", () => { if (++n === 100) socket.unref(); }); process.on("exit", () => say(n));`,
    ["100"],
  ],
  [
    "closed in a burst; closed with messages waiting",
    `const first = await bound(); first.on("message", (m) => { say(m); if (String(m) === "2") first.close(); });
     await burst(first, 100); await once(first, "close");
     const second = await bound(); second.on("message", () => say("late")); await burst(second, 100);
     second.close(() => say("closed"));`,
    ["0", "1", "2", "closed"],
  ],
  [
    "an unbound socket that sends and is closed",
    `const socket = dgram.createSocket("udp4"); socket.send("text", 9, "127.0.0.1"); socket.close(() => say("closed"));`,
    ["closed"],
  ],
  [
    "an unbound socket that connects and is closed; one that is closed when it has sent",
    `const first = dgram.createSocket("udp4"); first.connect(9, "127.0.0.1"); first.close(() => say("closed"));
     await once(first, "close"); const second = dgram.createSocket("udp4");
     second.send("text", 9, "127.0.0.1", (error, n) => { say("sent", n); second.close(); });`,
    ["closed", "sent 4"],
  ],
  [
    "closed by a signal, by asyncDispose, in 'listening'; bound in vain",
    `const controller = new AbortController(); await bound({ type: "udp4", signal: controller.signal }); controller.abort();
     const first = await bound(); await first[Symbol.asyncDispose]();
     const second = dgram.createSocket("udp4"); second.bind(0, () => second.close());
     const third = await bound(); const fourth = dgram.createSocket("udp4"); fourth.bind(third.address().port, "127.0.0.1");
     const [error] = await once(fourth, "error"); say(error.code); third.close();`,
    ["EADDRINUSE"],
  ],
];

for (const dgram of MODULES)
  describe(dgram.name, { concurrency: 3 }, () => {
    for (const [what, script, says] of endings)
      test(what, async () => {
        const { code, lines, stderr } = await run(dgram, script);
        assert.deepEqual({ code, lines, stderr }, { code: 0, lines: [...says], stderr: "" });
      });

    test("process.exit in a listener ends it there", async () => {
      const script = `const socket = await bound(); process.on("exit", (code) => say("exit", code));
      socket.on("message", (message) => { say(message); if (String(message) === "4") process.exit(7); });
      await burst(socket, 100);`;
      const { code, lines } = await run(dgram, script);
      assert.deepEqual({ code, lines }, { code: 7, lines: ["0", "1", "2", "3", "4", "exit 7"] });
    });

    test("a socket that nobody refers to any more receives all the same", async () => {
      const script = `
      let port;
      await (async () => {
        const socket = await bound();
        ({ port } = socket.address());
        socket.on("message", function (message) { say(message); if (String(message) === "last") this.close(); });
      })();
      const sender = nodeDgram.createSocket("udp4");
      for (const text of ["first", "second", "last"]) {
        for (let i = 0; i < 5; i++) { globalThis.gc(); await new Promise(setImmediate); }
        sender.send(text, port, "127.0.0.1");
      }
      sender.unref();`;
      const { code, lines } = await run(dgram, script);
      assert.deepEqual({ code, lines }, { code: 0, lines: ["first", "second", "last"] });
    });
  });

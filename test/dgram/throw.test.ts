/** Shows: a listener that throws is the process's affair, as ever: with a handler for it every later message still arrives, without one it ends. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { run } from "./child.ts";
import { MODULES } from "./modules.ts";

const COUNT = 100;
const numbers = Array.from({ length: COUNT }, (_, i) => String(i));

for (const dgram of MODULES)
  describe(dgram.name, { concurrency: 3 }, () => {
    test("with an uncaughtException handler every later message arrives, in order, after the handler", async () => {
      const script = `
      process.on("uncaughtException", (error, origin) => say("caught", error.message, origin));
      const socket = await bound();
      socket.on("message", (message) => {
        const number = Number(message);
        say(number);
        if (number === ${COUNT - 1}) socket.close();
        if (number % 10 === 3) throw new Error(message);
      });
      await burst(socket, ${COUNT});`;
      const { code, lines, stderr } = await run(dgram, script);
      const expected = numbers.flatMap((each, i) =>
        i % 10 === 3 ? [each, `caught ${each} uncaughtException`] : [each],
      );
      assert.deepEqual({ code, lines, stderr }, { code: 0, lines: expected, stderr: "" });
    });

    test("each message's listener throws", async () => {
      const script = `
      let caught = 0;
      process.on("uncaughtException", () => caught++);
      const socket = await bound();
      const seen = [];
      socket.on("message", (message) => {
        if (seen.push(String(message)) === ${COUNT}) socket.close();
        throw new Error(message);
      });
      await burst(socket, ${COUNT});
      await once(socket, "close");
      say(caught, seen.join());`;
      const { code, lines } = await run(dgram, script);
      assert.deepEqual({ code, lines }, { code: 0, lines: [`${COUNT} ${numbers.join()}`] });
    });

    test("a listener that threw: its ticks and promise reactions run all the same, in order", async () => {
      const script = `
      process.on("uncaughtException", () => {});
      const socket = await bound();
      socket.on("message", (message) => {
        say("message", message);
        process.nextTick(() => say("tick", message));
        Promise.resolve().then(() => say("reaction", message));
        if (String(message) === "19") socket.close();
        if (Number(message) % 3 === 0) throw new Error(message);
      });
      await burst(socket, 20);`;
      const { code, lines } = await run(dgram, script);
      assert.equal(code, 0);
      for (const what of ["message", "tick", "reaction"]) {
        const told = lines.filter((line) => line.startsWith(what));
        assert.deepEqual(
          told,
          numbers.slice(0, 20).map((each) => `${what} ${each}`),
        );
      }
      for (const each of numbers.slice(0, 20)) {
        const order = lines.filter((line) => line.endsWith(` ${each}`)).map((line) => line.split(" ")[0]);
        assert.deepEqual(order, ["message", "tick", "reaction"]);
      }
    });

    test("a tick, a promise reaction that throws: later messages arrive", async () => {
      const script = `
      process.on("uncaughtException", (error) => say("caught", error.message));
      process.on("unhandledRejection", (error) => say("unhandled", error.message));
      const socket = await bound();
      socket.on("message", async (message) => {
        say(message);
        if (String(message) === "9") socket.close();
        if (Number(message) % 4 === 1) process.nextTick(() => { throw new Error(message); });
        if (Number(message) % 4 === 2) throw new Error(message);
      });
      await burst(socket, 10);`;
      const { code, lines } = await run(dgram, script);
      const expected = numbers.slice(0, 10).flatMap((each, i) => {
        const told = i % 4 === 1 ? [`caught ${each}`] : i % 4 === 2 ? [`unhandled ${each}`] : [];
        return [each, ...told];
      });
      assert.deepEqual({ code, lines }, { code: 0, lines: expected });
    });

    test("closing and throwing: no later message", async () => {
      const script = `
      process.on("uncaughtException", (error) => say("caught", error.message));
      const socket = await bound();
      socket.on("close", () => say("closed"));
      socket.on("message", (message) => { say(message); socket.close(); throw new Error("both"); });
      await burst(socket, 20);`;
      const { code, lines } = await run(dgram, script);
      assert.deepEqual({ code, lines }, { code: 0, lines: ["0", "caught both", "closed"] });
    });

    test("closed by the uncaughtException handler: no later message", async () => {
      const script = `
      const socket = await bound();
      process.on("uncaughtException", () => socket.close(() => say("closed")));
      socket.on("message", (message) => { say(message); if (String(message) === "2") throw new Error("enough"); });
      await burst(socket, 20);`;
      const { code, lines } = await run(dgram, script);
      assert.deepEqual({ code, lines }, { code: 0, lines: ["0", "1", "2", "closed"] });
    });

    test("without a handler the process ends, with the error on stderr", async () => {
      const script = `
      const socket = await bound();
      process.on("exit", (code) => say("exit", code));
      socket.on("message", (message) => { say(message); if (String(message) === "2") throw new Error("nobody catches this"); });
      await burst(socket, 20);`;
      const { code, lines, stderr } = await run(dgram, script);
      assert.deepEqual({ code, lines }, { code: 1, lines: ["0", "1", "2", "exit 1"] });
      assert.match(stderr, /Error: nobody catches this\n {4}at /);
    });

    test("an 'error' that nobody listens to ends the process", async () => {
      const script = `
      const gone = await bound();
      const { port } = gone.address();
      gone.close();
      const socket = dgram.createSocket("udp4");
      socket.connect(port, "127.0.0.1", () => socket.send("is anybody there?"));`;
      const { code, stderr } = await run(dgram, script);
      assert.equal(code, 1);
      assert.match(stderr, /Error: recvmsg ECONNREFUSED/);
    });

    test("a throwing listener of one socket does not harm another", async () => {
      const script = `
      process.on("uncaughtException", () => {});
      const [bad, good] = [await bound(), await bound()];
      let [atBad, atGood] = [0, 0];
      const check = () => { if (atBad + atGood === 120) { say(atBad, atGood); bad.close(); good.close(); } };
      bad.on("message", () => { atBad++; check(); throw new Error("bad"); });
      good.on("message", () => { atGood++; check(); });
      await Promise.all([burst(bad, 60), burst(good, 60)]);`;
      const { code, lines } = await run(dgram, script);
      assert.deepEqual({ code, lines }, { code: 0, lines: ["60 60"] });
    });
  });

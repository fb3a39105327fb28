/** Shows: `bind({ fd })`: a process that inherits a descriptor receives on it and answers from it. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import nodeDgram from "node:dgram";
import { once } from "node:events";
import { test } from "node:test";
import { handleOf } from "../../src/udp/node-internals.ts";
import { MODULES } from "./modules.ts";
import { collect, portOf } from "./sockets.ts";

const FD = 3;

for (const dgram of MODULES)
  test(
    `${dgram.name}: a socket on an inherited descriptor`,
    { skip: process.platform === "win32" && "descriptors are not for Windows" },
    async (t) => {
      const inherited = nodeDgram.createSocket("udp4").bind(0, "127.0.0.1");
      await once(inherited, "listening");
      const port = portOf(inherited);
      const script = `
      import dgram from ${JSON.stringify(dgram.specifier)};
      const socket = dgram.createSocket("udp4");
      let listening = 0;
      socket.on("listening", () => listening++);
      const result = socket.bind({ fd: ${FD}, port: 1, address: "203.0.113.1" });
      if (result !== socket || listening !== 1) throw new Error("bind({ fd }) binds at once");
      socket.on("message", (message, { port, address }) => {
        const done = String(message) === "last" ? () => socket.close() : undefined;
        socket.send(String(message).toUpperCase(), port, address, done);
      });
      console.log(JSON.stringify(socket.address()));`;
      const argv = ["--input-type=module", "--eval", script];
      const fd = handleOf(inherited)?.fd;
      const child = spawn(process.execPath, argv, { stdio: ["ignore", "pipe", "inherit", fd] });
      t.after(() => child.kill());
      const exit = once(child, "exit");
      inherited.close();
      const [line] = (await once(child.stdout ?? assert.fail(), "data")) as [Buffer];
      assert.deepEqual(JSON.parse(String(line)), { address: "127.0.0.1", family: "IPv4", port });

      const client = nodeDgram.createSocket("udp4");
      t.after(() => client.close());
      client.connect(port, "127.0.0.1");
      await once(client, "connect");
      const answers = collect(client, 21);
      for (let i = 0; i < 20; i++) client.send(`call ${i}`);
      client.send("last");
      assert.deepEqual(
        (await answers).map(({ bytes }) => String(bytes)),
        [...Array.from({ length: 20 }, (_, i) => `CALL ${i}`), "LAST"],
      );
      assert.deepEqual(await exit, [0, null]);
    },
  );

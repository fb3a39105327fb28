/** Not a test: scripts in processes of their own, for what ends a process or keeps it. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import type { Dgram } from "./modules.ts";

export type Outcome = { readonly code: number | null; readonly lines: string[]; readonly stderr: string };

/** What a process may take; longer, and it counts as one that does not end. */
const MS_MAX = 10_000;

/** What scripts find: `dgram` is the module under test, a sender is Node's and does not keep the process. */
function prelude(specifier: string): string {
  return `
    import dgram from ${JSON.stringify(specifier)};
    import nodeDgram from "node:dgram";
    import { once } from "node:events";
    const say = (...words) => process.stdout.write(words.join(" ") + "\\n");
    const bound = async (options = "udp4") => {
      const socket = dgram.createSocket(options);
      socket.bind(0, "127.0.0.1");
      await once(socket, "listening");
      return socket;
    };
    const senderTo = async (socket) => {
      const sender = nodeDgram.createSocket("udp4");
      sender.connect(socket.address().port, "127.0.0.1");
      await once(sender, "connect");
      return sender.unref();
    };
    const burst = async (socket, count) => {
      const sender = await senderTo(socket);
      for (let i = 0; i < count; i++) sender.send(String(i));
    };
  `;
}

/** Runs `script` to its end. @throws AssertionError when it does not end by itself */
export function run({ name, specifier }: Dgram, script: string): Promise<Outcome> {
  const argv = ["--expose-gc", "--input-type=module", "--eval", prelude(specifier) + script];
  return new Promise((resolve, reject) => {
    const child = execFile(process.execPath, argv, { timeout: MS_MAX, killSignal: "SIGKILL" }, (_, stdout, stderr) => {
      const { exitCode, signalCode } = child;
      try {
        assert.equal(signalCode, null, `${name}: the process does not end by itself; it said: ${stdout} ${stderr}`);
        resolve({ code: exitCode, lines: stdout.split("\n").slice(0, -1), stderr });
      } catch (error) {
        reject(error);
      }
    });
  });
}

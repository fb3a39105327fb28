/** Scripts in processes of their own, for what is decided once for a process, ends it, or keeps it alive. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";

/** `said`: what the script gave to `say`, in order. */
export type Outcome = { readonly code: number | null; readonly said: unknown[]; readonly stderr: string };

export type ChildOptions = {
  readonly environment?: Record<string, string>;
  /** Where the compiled project is; another one than ours, for a copy. */
  readonly root?: URL;
  /** A command that runs the process: what to run follows as its arguments. */
  readonly command?: readonly string[];
  readonly msMax?: number;
};

/** The compiled project: the folder with `src` and `test`. */
export const ROOT: URL = new URL("../../", import.meta.url);

/** What scripts find beside the exports of the packages; everything imported from `root`. */
function prelude(root: URL): string {
  return `
    import dgram from "node:dgram";
    import { once } from "node:events";
    import { setImmediate as turn, setTimeout as delay } from "node:timers/promises";
    import { writeSync } from "node:fs";
    const say = (value) => writeSync(1, JSON.stringify(value) + "\\n");
    const load = (file) => import(new URL(file, ${JSON.stringify(root.href)}).href);
    const { JumboPool } = await load("src/index.js");
    const { bindUdp, receiveUdp } = await load("src/udp/index.js");
    const senderTo = async ({ socket }) => {
      const sender = dgram.createSocket("udp4").unref();
      sender.connect(socket.address().port, "127.0.0.1");
      await once(sender, "connect");
      return sender;
    };`;
}

/** Runs `script` to its end. @throws AssertionError when it does not end by itself */
export function runChild(script: string, options: ChildOptions = {}): Promise<Outcome> {
  const { environment = {}, root = ROOT, command = [], msMax = 20_000 } = options;
  const node = ["--expose-gc", "--input-type=module", "--eval", prelude(root) + script];
  const [file = process.execPath, ...argv] = command.length === 0 ? [] : [...command, process.execPath];
  const settings = { timeout: msMax, killSignal: "SIGKILL", env: { ...process.env, ...environment } } as const;
  return new Promise((resolve, reject) => {
    const child = execFile(file, [...argv, ...node], settings, (_, stdout, stderr) => {
      const { exitCode, signalCode } = child;
      try {
        assert.equal(signalCode, null, `the process ends by itself; it said: ${stdout} ${stderr}`);
        const said = stdout
          .split("\n")
          .slice(0, -1)
          .map((line): unknown => JSON.parse(line));
        resolve({ code: exitCode, said, stderr });
      } catch (error) {
        reject(error);
      }
    });
  });
}

/** The same, for a script that is to end well. What it said. */
export async function said(script: string, options: ChildOptions = {}): Promise<unknown[]> {
  const outcome = await runChild(script, options);
  assert.equal(outcome.code, 0, outcome.stderr);
  return outcome.said;
}

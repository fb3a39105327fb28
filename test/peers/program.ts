/** Not a test: programs in processes of their own. Those under test are our compiled examples; their peers are programs that nobody here wrote. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import type { ChildProcessByStdio } from "node:child_process";
import dgram from "node:dgram";
import type { Socket } from "node:dgram";
import { once } from "node:events";
import type { Readable, Writable } from "node:stream";
import type { TestContext } from "node:test";
import { fileURLToPath } from "node:url";

const MS_MAX = 30_000;

/** A running program; killed after the test if it still runs, and after 30 s in any case. */
export class Program {
  readonly child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly name: string;
  stdout = "";
  stderr = "";
  readonly #ended: Promise<number | null>;
  #onText: () => void = () => {};

  /** `latin1` for output that is bytes: one character each. */
  constructor(t: TestContext, command: string, args: readonly string[], encoding: "utf8" | "latin1" = "utf8") {
    this.name = [command, ...args].join(" ");
    this.child = spawn(command, args, { stdio: "pipe" });
    const timer = setTimeout(() => this.child.kill("SIGKILL"), MS_MAX);
    t.after(() => void this.child.kill("SIGKILL"));
    this.child.stdin.on("error", () => {}); // it may end without reading what it was given
    for (const stream of ["stdout", "stderr"] as const) {
      this.child[stream].setEncoding(encoding).on("data", (text: string) => {
        this[stream] += text;
        this.#onText();
      });
    }
    this.#ended = once(this.child, "close").then(([code]: (number | null)[]) => {
      clearTimeout(timer);
      this.#onText();
      return code ?? null;
    });
  }

  /** Waits until what it has said, on either stream, matches; fails when it ends before that. */
  async says(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const match = pattern.exec(this.stdout) ?? pattern.exec(this.stderr);
      if (match !== null) return match;
      const { exitCode, signalCode } = this.child;
      assert.ok(exitCode === null && signalCode === null, `${this.name} ended without ${pattern}: ${this.#said()}`);
      await new Promise<void>((resolve) => (this.#onText = resolve));
    }
  }

  /** Waits for its end, which must be a good one. Returns standard output. */
  async output(): Promise<string> {
    const code = await this.#ended;
    assert.equal(code, 0, `${this.name} ends with ${code ?? this.child.signalCode}: ${this.#said()}`);
    return this.stdout;
  }

  #said(): string {
    return `${this.stdout}\n${this.stderr}`;
  }
}

/** One of our examples, on a free port. */
export async function startExample(
  t: TestContext,
  name: string,
  ...args: string[]
): Promise<{ readonly program: Program; readonly port: number }> {
  const file = fileURLToPath(new URL(`../../examples/${name}.js`, import.meta.url));
  const program = new Program(t, process.execPath, [file, "--port", "0", ...args]);
  const [, port] = await program.says(/listening on udp:\/\/\S+:(\d+)\n/);
  return { program, port: Number(port) };
}

/** Runs a peer to its end, with `stdin`, and returns what it printed. Fails when it fails. */
export async function runPeer(
  t: TestContext,
  command: string,
  args: readonly string[],
  stdin: string | Uint8Array = "",
  encoding: "utf8" | "latin1" = "utf8",
): Promise<string> {
  const peer = new Program(t, command, args, encoding);
  peer.child.stdin.end(stdin);
  return await peer.output();
}

/** A socket of Node's own, connected to `port`: what it sends has been sent when `send` returns. Closed after the test. */
export async function connected(t: TestContext, port: number): Promise<Socket> {
  const socket = dgram.createSocket({ type: "udp4", recvBufferSize: 4 << 20 });
  socket.connect(port, "127.0.0.1");
  await once(socket, "connect");
  t.after(() => void socket.close());
  return socket;
}

/** A port that nobody uses, for a peer that cannot tell which one it got. */
export async function freePort(): Promise<number> {
  const socket = dgram.createSocket("udp4");
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  const { port } = socket.address();
  socket.close();
  await once(socket, "close");
  return port;
}

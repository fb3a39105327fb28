/** The compiled command as a child process, for tests: what it prints, when it listens, how it ends. */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import type { ChildProcess, StdioOptions } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import type { TestContext } from "node:test";
import { fileURLToPath } from "node:url";

export const MAIN: string = fileURLToPath(new URL("../../src/cli/main.js", import.meta.url));
const MS_MAX = 30_000;

export type Ended = { readonly code: number | null; readonly signal: NodeJS.Signals | null };

/** A running command; killed after the test if it should still run. */
export class RunningCommand {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  stdout = "";
  stderr = "";
  #onText: () => void = () => {};

  constructor(t: TestContext, args: readonly string[], stdio: StdioOptions = ["ignore", "pipe", "pipe"]) {
    this.child = spawn(process.execPath, [MAIN, ...args], { stdio });
    const isStdoutText = Array.isArray(stdio) && stdio[1] === "pipe" && !args.includes("-");
    if (isStdoutText) this.child.stdout?.setEncoding("utf8").on("data", (text: string) => (this.stdout += text));
    this.child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.stderr += text;
      this.#onText();
    });
    const timer = setTimeout(() => this.child.kill("SIGKILL"), MS_MAX);
    this.ended = new Promise((resolve) => {
      this.child.on("close", (code, signal) => {
        clearTimeout(timer);
        this.#onText();
        resolve({ code, signal });
      });
    });
    t.after(() => void this.child.kill("SIGKILL"));
  }

  /** Waits until standard error matches `pattern`; fails when the command ends before that. */
  async says(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const match = pattern.exec(this.stderr);
      if (match !== null) return match;
      assert.ok(
        this.child.exitCode === null && this.child.signalCode === null,
        `ended without ${pattern}: ${this.stderr}`,
      );
      await new Promise<void>((resolve) => (this.#onText = resolve));
    }
  }

  /** The port of the first URL, as soon as it listens. */
  async port(): Promise<number> {
    const [, port] = await this.says(/listening on \w+:\/\/\S+:(\d+)\n/);
    return Number(port);
  }

  /** Waits for the end and what `--json` has printed. */
  async report(): Promise<Report> {
    await this.ended;
    const lines = this.stdout.split("\n");
    assert.equal(lines.length, 2, `one object on one line: ${this.stdout}${this.stderr}`);
    return JSON.parse(lines[0] ?? "") as Report; // what is missing fails the assertion that looks at it
  }
}

/** The part of the report that the tests look at. */
export type Report = {
  readonly [key: string]: unknown;
  readonly bytes: number;
  readonly bytesWritten: number;
  readonly pauses: number;
  readonly rssMaxBytes: number;
  readonly pool: {
    readonly inUse: number;
    readonly inUsePeak: number;
    readonly taken: number;
    readonly returned: number;
  };
};

/** Runs the command to its end. */
export async function run(t: TestContext, ...args: string[]): Promise<Ended & { stdout: string; stderr: string }> {
  const command = new RunningCommand(t, args);
  const ended = await command.ended;
  return { ...ended, stdout: command.stdout, stderr: command.stderr };
}

/** A folder that is gone after the test. */
export function temporaryFolder(t: { after: (action: () => void) => void }): string {
  const folder = mkdtempSync(path.join(tmpdir(), "jumbo-cli-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** For `skip`: why a test that needs `program` cannot run here, or false. */
export function missing(program: string): string | false {
  const isThere = spawnSync("sh", ["-c", `command -v ${program}`]).status === 0;
  return isThere ? false : `${program} is not installed`;
}

/** A connected client, destroyed after the test. Its errors are the test's business only when it looks. */
export async function connect(t: TestContext, to: number | string): Promise<net.Socket> {
  const socket = typeof to === "number" ? net.connect(to, "127.0.0.1") : net.connect(to);
  socket.on("error", () => {});
  t.after(() => void socket.destroy());
  await once(socket, "connect");
  return socket;
}

/** Resolves when `socket`, of which nobody reads, has closed: by an end or by a reset. */
export function closed(socket: net.Socket): Promise<void> {
  return new Promise((resolve) => socket.resume().once("close", () => resolve()));
}

/** A program that runs to its end; fails unless it exits with 0. */
export async function peer(
  t: TestContext,
  program: string,
  args: readonly string[],
  stdin: "ignore" | number = "ignore",
): Promise<void> {
  const child = spawn(program, args, { stdio: [stdin, "ignore", "pipe"] });
  t.after(() => void child.kill("SIGKILL"));
  let stderr = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  const [code] = (await once(child, "close")) as [number | null];
  assert.equal(code, 0, `${program} ${args.join(" ")}: ${stderr}`);
}

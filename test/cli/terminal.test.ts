/** Shows: on a terminal a line is drawn again and again while bytes or datagrams arrive, with rate, total, pages and pauses, and is gone at the end. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { MAIN, connect, missing } from "./command.ts";
import { sendAll } from "./datagrams.ts";

const CLEAR_LINE = "\r\u001B[K";

/** The command on a terminal of its own. */
class OnTerminal {
  readonly ended: Promise<unknown>;
  screen = "";
  readonly #script: ChildProcess;
  #onText = (): void => {};

  constructor(t: TestContext, url: string) {
    const command = `"${process.execPath}" "${MAIN}" recv ${url} --once`;
    this.#script = spawn("script", ["-qfec", command, "/dev/null"], {
      stdio: ["ignore", "pipe", "ignore"],
      env: { ...process.env, TERM: "xterm" },
    });
    t.after(() => void this.#script.kill());
    this.ended = once(this.#script, "close");
    this.#script.stdout?.setEncoding("utf8").on("data", (text: string) => {
      this.screen += text;
      this.#onText();
    });
  }

  async shows(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const match = pattern.exec(this.screen);
      if (match !== null) return match;
      assert.equal(this.#script.exitCode, null, `ended without ${pattern}: ${this.screen}`);
      await new Promise<void>((resolve) => (this.#onText = resolve));
    }
  }

  /** What is there after the live line was cleared the last time. */
  async last(): Promise<string> {
    await this.ended;
    return this.screen.slice(this.screen.lastIndexOf(CLEAR_LINE) + CLEAR_LINE.length);
  }
}

test("the live line", { skip: missing("script") }, async (t) => {
  const terminal = new OnTerminal(t, "tcp://:0");
  const [, port] = await terminal.shows(/listening on tcp:\/\/127\.0\.0\.1:(\d+)/);
  const socket = await connect(t, Number(port));
  socket.write(Buffer.alloc(123_000));
  await terminal.shows(/\r\u001B\[K +[\d.]+ \w?B\/s +123 kB +[01]\/1,024 pages +0 pauses +1 connection/); // oxlint-disable-line no-control-regex
  socket.end();
  assert.match(
    await terminal.last(),
    /^received 123 kB \(123,000 bytes\) from 1 connection/,
    "it is cleared before the summary",
  );
});

test("the live line of datagrams, which have no connections", { skip: missing("script") }, async (t) => {
  const terminal = new OnTerminal(t, "udp://:0");
  const [, port] = await terminal.shows(/listening on udp:\/\/127\.0\.0\.1:(\d+)/);
  await terminal.shows(/\r\u001B\[K +0 B\/s +0 B +\d+\/1,024 pages +0 pauses +0 datagrams +0 dropped\r/); // oxlint-disable-line no-control-regex
  await sendAll(t, [Buffer.from("one")], Number(port));
  assert.match(await terminal.last(), /^received 3 B \(3 bytes\) as 1 datagram/);
});

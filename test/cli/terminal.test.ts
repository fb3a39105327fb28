/** Shows: on a terminal a line is drawn again and again while bytes arrive, with rate, total, pages and pauses, and is gone at the end. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";
import { MAIN, connect, missing } from "./command.ts";

const CLEAR_LINE = "\r\u001B[K";

test("the live line", { skip: missing("script") }, async (t) => {
  const command = `"${process.execPath}" "${MAIN}" recv tcp://:0 --once`;
  const script = spawn("script", ["-qfec", command, "/dev/null"], {
    stdio: ["ignore", "pipe", "ignore"],
    env: { ...process.env, TERM: "xterm" },
  });
  t.after(() => void script.kill());
  let screen = "";
  let onText = (): void => {};
  script.stdout.setEncoding("utf8").on("data", (text: string) => {
    screen += text;
    onText();
  });
  const shows = async (pattern: RegExp): Promise<RegExpExecArray> => {
    for (;;) {
      const match = pattern.exec(screen);
      if (match !== null) return match;
      assert.equal(script.exitCode, null, `ended without ${pattern}: ${screen}`);
      await new Promise<void>((resolve) => (onText = resolve));
    }
  };
  const [, port] = await shows(/listening on tcp:\/\/127\.0\.0\.1:(\d+)/);
  const socket = await connect(t, Number(port));
  socket.write(Buffer.alloc(123_000));
  await shows(/\r\u001B\[K +[\d.]+ \w?B\/s +123 kB +[01]\/1,024 pages +0 pauses +1 connection/); // oxlint-disable-line no-control-regex
  socket.end();
  await once(script, "close");
  const last = screen.slice(screen.lastIndexOf(CLEAR_LINE) + CLEAR_LINE.length);
  assert.match(last, /^received 123 kB \(123,000 bytes\) from 1 connection/, "the line is cleared before the summary");
});

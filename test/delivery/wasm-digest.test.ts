/** Shows that `examples/wasm-digest` computes the digest of what it was sent, over more than one window, and that JavaScript copies no byte of it. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import net from "node:net";
import path from "node:path";
import { test } from "node:test";
import { loadRecvCall } from "../../src/os/recv-call.ts";
import { pattern } from "../support/pattern.ts";
import { until } from "../support/at-rest.ts";

const EXAMPLE = path.join(import.meta.dirname, "../../examples/wasm-digest.js");

function fnv1a(bytes: Uint8Array): string {
  let hash = 0x811c_9dc5;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 16_777_619);
  return (hash >>> 0).toString(16).padStart(8, "0");
}

test("the digest is that of the bytes sent", async (t) => {
  const child = spawn(process.execPath, [EXAMPLE, "--port", "0"], { stdio: ["ignore", "pipe", "inherit"] });
  t.after(() => child.kill());
  let text = "";
  let all = 0;
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
  await until(() => /port \d+\n/.test(text), "listening");
  for (const length of [0, 10, 9_000_001]) {
    text = text.slice(0, text.indexOf("\n") + 1);
    const port = Number(/port (\d+)/.exec(text)?.[1]);
    const bytes = pattern(0, length);
    const socket = net.connect(port, "127.0.0.1");
    socket.end(bytes);
    await until(() => text.split("\n").length > 2, "a digest");
    assert.match(text, new RegExp(`^${fnv1a(bytes)}  ${length} bytes; `, "m"));
    all += length;
    const [received, copied] = [/(\d+) bytes received/, /(\d+) bytes copied/].map((count) =>
      Number(count.exec(text)?.[1]),
    );
    if (loadRecvCall().call !== null) assert.deepEqual([received, copied], [all, 0]);
    if (!socket.closed) await once(socket.resume(), "close");
  }
});

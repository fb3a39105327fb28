/**
 * Shows: an output slower than the sender makes the sender wait, with memory bounded and every byte in its place; connections take
 * turns at one file; a reader that goes away ends the session quietly; a signal in the middle loses nothing that has arrived, and a
 * second one ends at once.
 */
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { constants, createReadStream, openSync, closeSync, readFileSync, statSync, writeFileSync } from "node:fs";
import type { Socket } from "node:net";
import path from "node:path";
import { after, test } from "node:test";
import type { TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { isPattern, pattern } from "../support/pattern.ts";
import { write } from "../support/sockets.ts";
import { MAIN, RunningCommand, connect, missing, temporaryFolder } from "./command.ts";

const folder = temporaryFolder({ after });
const inFolder = (name: string): string => path.join(folder, name);

const SLOW_BYTES = 60_000_000;
const PIECE_BYTES = 65_536;

/** Sends so much of the pattern, counting what the system has taken. */
async function sendPattern(socket: Socket, total: number, sent: { bytes: number }): Promise<void> {
  while (sent.bytes < total) {
    const length = Math.min(PIECE_BYTES, total - sent.bytes);
    await write(socket, pattern(sent.bytes, length));
    sent.bytes += length;
  }
  socket.end();
}

/** Sends the pattern until the connection is gone; for tests that end it from the other side. */
async function sendForever(socket: Socket): Promise<void> {
  await sendPattern(socket, Infinity, { bytes: 0 }).catch(() => {}); // as it should be
}

/** Resolves when the system has taken nothing for a while: there is no event for what does not happen. */
async function hasStalled(sent: { readonly bytes: number }): Promise<void> {
  for (let before = -1; before !== sent.bytes; await delay(150)) before = sent.bytes;
}

function makeFifo(name: string): string {
  execFileSync("mkfifo", [inFolder(name)]);
  return inFolder(name);
}

async function receivingInto(
  t: TestContext,
  output: string,
  ...args: string[]
): Promise<{ command: RunningCommand; port: number }> {
  const command = new RunningCommand(t, ["recv", "tcp://:0", "-o", output, ...args]);
  return { command, port: await command.port() };
}

test(
  "a FIFO read slowly: the sender waits, memory is bounded, every byte is right",
  { skip: missing("mkfifo") },
  async (t) => {
    const fifo = makeFifo("slow");
    const command = new RunningCommand(t, ["recv", "tcp://:0", "-o", fifo, "--once", "--json"]);
    await command.says(/is a FIFO: waiting until somebody reads it/);
    const reader = createReadStream(fifo);
    const sent = { bytes: 0 };
    const isSent = connect(t, await command.port()).then((socket) => sendPattern(socket, SLOW_BYTES, sent));
    let offset = 0;
    let reads = 0;
    let onItsWayMax = 0;
    for await (const chunk of reader) {
      assert.ok(isPattern(chunk as Buffer, offset)); // no encoding was set
      offset += (chunk as Buffer).length;
      onItsWayMax = Math.max(onItsWayMax, sent.bytes - offset);
      if (++reads % 10 === 0) await delay(10); // slower than any sender
    }
    await isSent;
    assert.equal(offset, SLOW_BYTES);
    const report = await command.report();
    assert.equal(report.bytesWritten, SLOW_BYTES);
    assert.ok(report.pauses > 0, "reading has stopped at times");
    assert.equal(report.pool.inUse, 0);
    // 8 MiB in the command; the rest in the sockets' buffers and the FIFO, which are the kernel's.
    assert.ok(onItsWayMax < 24e6, `${onItsWayMax} bytes were sent and not read`);
    assert.ok(report.rssMaxBytes < 110e6, `the command had ${report.rssMaxBytes} bytes`);
  },
);

test(
  "SIGTERM while the FIFO is full: what has arrived is written, and the sender learns of the end",
  { skip: missing("mkfifo") },
  async (t) => {
    const fifo = makeFifo("flushed");
    const command = new RunningCommand(t, ["recv", "tcp://:0", "-o", fifo, "--json"]);
    await command.says(/is a FIFO/);
    const fd = openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK); // open, and not read yet
    const socket = await connect(t, await command.port());
    const sent = { bytes: 0 };
    const isSent = sendPattern(socket, Infinity, sent).catch(() => {}); // the command ends the connection
    await hasStalled(sent); // so reading has stopped, with bytes that were read and not taken
    command.child.kill("SIGTERM");
    await command.says(/SIGTERM: writing what has arrived; again to end at once/); // so there is something
    const chunks: Buffer[] = [];
    for await (const chunk of createReadStream(fifo)) chunks.push(chunk as Buffer); // until the command closes it
    closeSync(fd);
    await isSent;
    const report = await command.report();
    const read = Buffer.concat(chunks);
    assert.deepEqual(await command.ended, { code: 0, signal: null });
    assert.ok(isPattern(read, 0));
    assert.deepEqual([report.bytes, report.bytesWritten], [read.length, read.length], "all that was delivered");
    assert.equal(report["bytesDropped"], 0, "nothing that was received is lost");
    assert.deepEqual([report["endedBy"], report["connectionsCut"]], ["SIGTERM", 1]);
    assert.match(command.stderr, /was still open after [\d,]+ bytes and was closed/);
  },
);

test("a second signal ends at once, and says what is lost", { skip: missing("mkfifo") }, async (t) => {
  const fifo = makeFifo("stuck");
  const command = new RunningCommand(t, ["recv", "tcp://:0", "-o", fifo]);
  await command.says(/is a FIFO/);
  const fd = openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK); // never read
  t.after(() => closeSync(fd));
  const socket = await connect(t, await command.port());
  void sendForever(socket);
  while (socket.bytesWritten < 2_000_000) await once(socket, "drain");
  command.child.kill("SIGINT");
  await command.says(/SIGINT: writing what has arrived/);
  command.child.kill("SIGINT");
  assert.deepEqual(await command.ended, { code: null, signal: "SIGINT" });
  assert.match(command.stderr, /second SIGINT: ended at once, [\d,]+ received bytes are not written\n$/);
});

test("SIGINT in the middle of a transfer to a file: the file is a beginning of what was sent, of the length that is reported", async (t) => {
  const out = inFolder("interrupted.bin");
  const { command, port } = await receivingInto(t, out);
  const socket = await connect(t, port);
  void sendForever(socket);
  while (socket.bytesWritten < 20_000_000) await once(socket, "drain");
  command.child.kill("SIGINT");
  assert.deepEqual(await command.ended, { code: 0, signal: null });
  const content = readFileSync(out);
  assert.ok(isPattern(content, 0));
  assert.match(
    command.stderr,
    new RegExp(`wrote ${content.length.toLocaleString("en-US")} bytes to .*interrupted.bin\n`),
  );
});

test("`| head -c`: ends quietly, with a summary and exit code 0", async (t) => {
  const script = `"${process.execPath}" "${MAIN}" recv tcp://:0 -o - | head -c 100; echo "\${PIPESTATUS[0]}"`;
  const shell = spawn("bash", ["-c", script], { stdio: ["ignore", "pipe", "pipe"] });
  t.after(() => void shell.kill());
  let [stdout, stderr] = [Buffer.alloc(0), ""];
  shell.stdout.on("data", (chunk: Buffer) => (stdout = Buffer.concat([stdout, chunk])));
  const port = await new Promise<number>((resolve) => {
    shell.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
      const match = /listening on tcp:\/\/127\.0\.0\.1:(\d+)\n/.exec(stderr);
      if (match !== null) resolve(Number(match[1]));
    });
  });
  void sendForever(await connect(t, port));
  await once(shell, "close");
  assert.ok(isPattern(stdout.subarray(0, 100), 0));
  assert.equal(stdout.subarray(100).toString(), "0\n");
  assert.match(stderr, /wrote [\d,]+ bytes to standard output/);
  assert.doesNotMatch(stderr, /EPIPE|jumbo:/);
});

test("one file: who sends while another does waits unread; his bytes come after; more than may wait are sent away", async (t) => {
  const out = inFolder("turns.bin");
  const { command, port } = await receivingInto(t, out, "--json", "--pages", "8"); // so one may wait
  const first = await connect(t, port);
  await write(first, pattern(0, 100_000));
  await untilSize(out, 100_000);
  const second = await connect(t, port);
  void sendAll(second, pattern(0, 20_000_000));
  await command.says(/:\d+ waits for its turn: .*turns\.bin takes one connection at a time \(-o FOLDER\/ takes all\)/);
  const third = await connect(t, port);
  third.write("too many");
  await command.says(/was sent away: 1 connection waiting for .* already/);
  first.end(pattern(100_000, 1_900_000));
  await untilSize(out, 22_000_000);
  command.child.kill("SIGTERM");
  const report = await command.report();
  assert.deepEqual(await command.ended, { code: 1, signal: null }, "somebody was sent away");
  const content = readFileSync(out);
  assert.ok(isPattern(content.subarray(0, 2_000_000), 0));
  assert.ok(isPattern(content.subarray(2_000_000), 0));
  assert.deepEqual([report.bytes - report.bytesWritten, report["errors"]], [8, 1]);
});

test("the session ends while somebody waits: that his bytes are in no file is said", async (t) => {
  const out = inFolder("waiter.bin");
  const { command, port } = await receivingInto(t, out);
  await write(await connect(t, port), Buffer.from("first"));
  await untilSize(out, 5);
  await write(await connect(t, port), Buffer.from("waiting"));
  await command.says(/waits for its turn/);
  command.child.kill("SIGTERM");
  await command.ended;
  assert.match(command.stderr, /was waiting for its turn: the 7 bytes it had sent are not written/);
  assert.match(command.stderr, /wrote 5 bytes to .*; 7 received bytes are not written/);
});

test("FILE is emptied first; a connection without bytes makes it an empty file", async (t) => {
  const out = inFolder("before.bin");
  writeFileSync(out, "what was there before, and longer");
  const { command, port } = await receivingInto(t, out, "--once");
  (await connect(t, port)).end();
  assert.deepEqual(await command.ended, { code: 0, signal: null });
  assert.equal(statSync(out).size, 0);
});

async function sendAll(socket: Socket, bytes: Buffer): Promise<void> {
  await write(socket, bytes);
  socket.end();
}

async function untilSize(file: string, bytes: number): Promise<void> {
  const end = performance.now() + 10_000;
  while (statSync(file).size < bytes) {
    assert.ok(performance.now() < end, `${file} has ${bytes} bytes in time, not ${statSync(file).size}`);
    await delay(5);
  }
}

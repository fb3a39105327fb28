/**
 * Shows: what socat and logger send in datagrams is what is found on disk and on standard output, in each framing, over IPv4 and IPv6, with both
 * engines; what the report says of it adds up; what had arrived when the end came is written; a slow output bounds memory, and
 * what the kernel drops meanwhile is counted; datagrams and connections share a folder.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import dgram from "node:dgram";
import { once } from "node:events";
import { constants, createReadStream, openSync, closeSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { after, test } from "node:test";
import type { TestContext } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { JumboPool } from "../../src/index.ts";
import { loadUdpCalls } from "../../src/os/udp-calls.ts";
import { bindUdp } from "../../src/udp/index.ts";
import { isPattern, pattern } from "../support/pattern.ts";
import { Random } from "../support/random.ts";
import { RunningCommand, connect, missing, peer, run, temporaryFolder } from "./command.ts";
import type { Report } from "./command.ts";
import { noIpv6, patternPieces, randomLengths, send, sendAll, sender } from "./datagrams.ts";

const folder = temporaryFolder({ after });
const inFolder = (name: string): string => path.join(folder, name);
/** Fits the smallest buffer that a system gives a socket, with what it reckons around each datagram. */
const FILE_BYTES = 60_001;
const file = inFolder("content.bin");
writeFileSync(file, pattern(0, FILE_BYTES));

const found = loadUdpCalls();
const noCalls = found.calls === null ? found.reason : false;
const without6 = await noIpv6();
const ENGINES = [
  ["recvmmsg", noCalls],
  ["dgram", false],
] as const;

async function receiving(t: TestContext, ...args: string[]): Promise<{ command: RunningCommand; port: number }> {
  const command = new RunningCommand(t, ["recv", ...args]);
  return { command, port: await command.port() };
}

/** Ends the command as a user does; what had arrived by then is to be in the report. */
async function ended(command: RunningCommand): Promise<Report> {
  command.child.kill("SIGTERM");
  const report = await command.report();
  assert.deepEqual(await command.ended, { code: 0, signal: null }, command.stderr);
  assert.equal(report.pool.inUse, 0);
  return report;
}

for (const [engine, noEngine] of ENGINES) {
  test(`a file from socat, ${engine}`, { skip: noEngine || missing("socat") }, async (t) => {
    const out = inFolder(`socat-${engine}.bin`);
    const { command, port } = await receiving(t, "udp://127.0.0.1:0", "-o", out, "--json", "--engine", engine);
    await peer(t, "socat", ["-u", "-b1400", `FILE:${file}`, `UDP-SENDTO:127.0.0.1:${port}`]);
    const report = await ended(command);
    assert.ok(readFileSync(out).equals(readFileSync(file)));
    assert.deepEqual(
      [report.bytes, report.bytesWritten, report["datagrams"], report["engine"], report["engineReason"]],
      [FILE_BYTES, FILE_BYTES, Math.ceil(FILE_BYTES / 1400), engine, null],
    );
  });

  test(`lines from logger, ${engine}`, { skip: noEngine || missing("logger") }, async (t) => {
    const out = inFolder(`logger-${engine}.txt`);
    const url = "udp://127.0.0.1:0";
    const { command, port } = await receiving(t, url, "-o", out, "--framing", "lines", "--json", "--engine", engine);
    for (const text of ["first", "second"]) {
      await peer(t, "logger", ["-n", "127.0.0.1", "-P", String(port), "-d", text]);
    }
    const report = await ended(command);
    assert.match(readFileSync(out, "utf8"), /^<\d+>.* first\n<\d+>.* second\n$/);
    assert.deepEqual([report["datagrams"], report["bytesFraming"]], [2, 2]);
    assert.equal(report.bytesWritten, report.bytes + 2);
  });

  test(`IPv6, every length, ${engine}`, { skip: noEngine || without6 }, async (t) => {
    const out = inFolder(`lengths-${engine}.bin`);
    const url = "udp://[::1]:0";
    const { command, port } = await receiving(t, url, "-o", out, "--json", "--engine", engine, "--pages", "4");
    assert.match(command.stderr, /listening on udp:\/\/\[::1\]:/);
    const lengths = [...randomLengths(new Random(3), 20, 4000), 0, 1, 2048, 2049, 65_507];
    await sendAll(t, patternPieces(lengths), port, "::1");
    const report = await ended(command);
    const content = readFileSync(out);
    assert.equal(
      content.length,
      lengths.reduce((a, b) => a + b),
    );
    assert.ok(isPattern(content, 0));
    assert.deepEqual([report["datagrams"], report["truncated"], report["bytesDropped"]], [lengths.length, 0, 0]);
  });

  test(`--json has all the keys, ${engine}`, { skip: noEngine }, async (t) => {
    const { command, port } = await receiving(t, "udp://127.0.0.1:0", "--json", "--engine", engine);
    await sendAll(t, patternPieces([100, 0, 1400]), port);
    const report = await ended(command);
    const { bytes, reads, rssMaxBytes, seconds } = report;
    assert.deepEqual(
      ["engine", "datagrams", "truncated", "kernelDrops", "datagramsDropped", "connections"].map((key) => report[key]),
      [engine, 3, 0, 0, 0, 0],
    );
    assert.equal(bytes, 1500);
    for (const number of [report["batches"], reads, rssMaxBytes]) assert.ok(typeof number === "number" && number > 0);
    assert.ok(typeof seconds === "number" && seconds >= 0);
    const gro = report["gro"] as { isOn: boolean; reason: string | null; superDatagrams: number }; // asserted here
    assert.equal(gro.isOn, engine === "recvmmsg" && gro.reason === null);
    if (engine === "dgram") assert.match(String(gro.reason), /dgram engine/);
    assert.equal(gro.superDatagrams, 0);
    assert.deepEqual([report["output"], report["endedBy"], report["exitCode"]], [null, "SIGTERM", 0]);
    assert.match(command.stderr, /^listening on udp:\/\/127\.0\.0\.1:\d+\n$/, "no text beside it");
  });

  test(`what the kernel had when the end came is written, ${engine}`, { skip: noEngine }, async (t) => {
    const out = inFolder(`drained-${engine}.bin`);
    const { command, port } = await receiving(t, "udp://127.0.0.1:0", "-o", out, "--json", "--engine", engine);
    command.child.kill("SIGSTOP");
    await sendAll(t, patternPieces(Array.from({ length: 40 }, () => 1000)), port);
    command.child.kill("SIGTERM"); // both wait for it when it goes on
    command.child.kill("SIGCONT");
    const report = await command.report();
    assert.deepEqual([report["endedBy"], report["datagrams"], report.bytesWritten], ["SIGTERM", 40, 40_000]);
    assert.ok(isPattern(readFileSync(out), 0));
  });

  test(`--once is one datagram, ${engine}`, { skip: noEngine }, async (t) => {
    const args = ["udp://127.0.0.1:0", "--once", "--engine", engine];
    for (const [text, lines] of [
      ["hello", "hello\n"],
      ["", "\n"],
    ] as const) {
      const out = inFolder(`once-${engine}.txt`);
      const { command, port } = await receiving(t, ...args, "-o", out, "--framing", "lines");
      await sendAll(t, [Buffer.from(text), Buffer.from("too late")], port);
      assert.deepEqual(await command.ended, { code: 0, signal: null }, command.stderr);
      assert.equal(readFileSync(out, "utf8"), lines);
      assert.match(command.stderr, new RegExp(`received ${text.length} B .* as 1 datagram`));
    }
  });
}

test("without system calls it is the dgram engine, and that is said", async (t) => {
  process.env["JUMBO_FFI"] = "0"; // for the command: this process has loaded what it needs
  t.after(() => delete process.env["JUMBO_FFI"]);
  const { command, port } = await receiving(t, "udp://127.0.0.1:0", "--json");
  await sendAll(t, [Buffer.from("hello")], port);
  const report = await ended(command);
  assert.deepEqual(
    ["engine", "engineReason", "datagrams"].map((key) => report[key]),
    ["dgram", "switched off by JUMBO_FFI=0", 1],
  );
});

test("--once, and nobody sent anything: exit code 1; an empty output is made all the same", async (t) => {
  const out = inFolder("nobody.bin");
  const { code, stderr } = await run(t, "recv", "udp://:0", "--once", "--duration", "0.1", "-o", out);
  assert.equal(code, 1);
  assert.match(
    stderr,
    /received 0 B \(0 bytes\) as 0 datagrams\nin 0 batches, 0 truncated; 0 dropped by the kernel, 0 by us; gro /,
  );
  assert.equal(readFileSync(out).length, 0);
});

test(
  "a sender with segmentation offload: many datagrams at a time, in order and whole; --no-gro takes them one by one",
  { skip: noCalls },
  async (t) => {
    for (const gro of ["--gro", "--no-gro"]) {
      const out = inFolder("gro.bin");
      const { command, port } = await receiving(t, "udp://127.0.0.1:0", gro, "-o", out, "--json");
      const pool = new JumboPool({ pagesMax: 16 });
      const socket = await bindUdp({ pool, address: "127.0.0.1" }, () => {});
      await socket.sendBatch([{ bytes: pattern(0, 40_100), address: "127.0.0.1", port }], { segmentBytes: 1000 });
      await socket.close();
      pool.close();
      const report = await ended(command);
      assert.ok(isPattern(readFileSync(out), 0));
      assert.deepEqual([report["datagrams"], report.bytesWritten], [41, 40_100]);
      const { isOn, superDatagrams } = report["gro"] as { isOn: boolean; superDatagrams: number }; // asserted here
      if (gro === "--no-gro") assert.deepEqual({ isOn, superDatagrams }, { isOn: false, superDatagrams: 0 });
      else if (isOn) assert.ok(superDatagrams > 0);
      else t.diagnostic(`this kernel has no UDP_GRO: ${JSON.stringify(report["gro"])}`);
    }
  },
);

test("several sockets share a file: each line whole", async (t) => {
  const out = inFolder("shared.txt");
  const command = new RunningCommand(t, ["recv", "udp://:0", "udp://:0", "-o", out, "--framing", "lines", "--json"]);
  const ports = /listening on udp:\S+:(\d+)\nlistening on udp:\S+:(\d+)\n/;
  const [, first, second] = await command.says(ports);
  const socket = sender(t);
  const expected: string[] = [];
  for (let i = 0; i < 40; i++) {
    expected.push(`${i} ${"x".repeat(i * 10)}`);
    await send(socket, Buffer.from(expected[i] ?? ""), Number(i % 2 === 0 ? first : second));
  }
  const report = await ended(command);
  assert.equal(report["datagrams"], 40);
  const byNumber = (a: string, b: string): number => Number.parseInt(a, 10) - Number.parseInt(b, 10);
  assert.deepEqual(readFileSync(out, "utf8").trimEnd().split("\n").sort(byNumber), expected);
});

test("datagrams and connections in a folder: a file for each connection, one for all datagrams, which are many", async (t) => {
  const out = inFolder("incoming/");
  const args = ["recv", "tcp://:0", "udp://:0", "-o", out, "--framing", "lines", "--json", "--engine", "dgram"];
  const command = new RunningCommand(t, args);
  const [, tcpPort, udpPort] = await command.says(/listening on tcp:\S+:(\d+)\nlistening on udp:\S+:(\d+)\n/);
  const socket = await connect(t, Number(tcpPort));
  socket.end("over a connection");
  await command.says(/ sent .*\n/);
  // More than can be taken before the file is there.
  await sendAll(
    t,
    Array.from({ length: 30 }, (_, index) => Buffer.from(`datagram ${index}`)),
    Number(udpPort),
  );
  const report = await ended(command);
  assert.deepEqual(readdirSync(out).sort(), ["connection-0001.bin", "datagrams-0002.txt"]);
  assert.equal(readFileSync(`${out}connection-0001.bin`, "utf8"), "over a connection");
  const lines = readFileSync(`${out}datagrams-0002.txt`, "utf8").split("\n");
  assert.deepEqual(
    lines.slice(0, -1),
    Array.from({ length: 30 }, (_, index) => `datagram ${index}`),
  );
  assert.deepEqual([report["files"], report["connections"], report["datagrams"]], [2, 1, 30]);
  assert.match(String(report["engine"]), /^(onread|data), dgram$|^dgram, (onread|data)$/);
});

test("a folder whose file cannot be made ends the session with exit code 1", async (t) => {
  const out = inFolder("gone/");
  const { command, port } = await receiving(t, "udp://:0", "-o", out);
  execFileSync("rmdir", [out]);
  await sendAll(t, [Buffer.from("where to?")], port);
  assert.deepEqual(await command.ended, { code: 1, signal: null });
  assert.match(command.stderr, /^jumbo: cannot make .*datagrams-0001\.bin: no such file or directory \(ENOENT\)$/m);
});

test(
  "a slow reader: memory is bounded, and every datagram is written or counted as dropped",
  { skip: noCalls || missing("mkfifo") },
  async (t) => {
    const fifo = inFolder("slow");
    execFileSync("mkfifo", [fifo]);
    const args = ["recv", "udp://:0", "-o", fifo, "--framing", "lines", "--json", "--no-gro"];
    const command = new RunningCommand(t, args);
    await command.says(/is a FIFO/);
    const fd = openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK); // open, and not read yet
    const port = await command.port();
    const socket = sender(t);
    const SENT = 20_000;
    const body = "x".repeat(1400);
    for (let i = 0; i < SENT; i++) await send(socket, Buffer.from(`${String(i).padStart(6, "0")} ${body}`), port);
    command.child.kill("SIGTERM");
    await command.says(/SIGTERM: writing what has arrived/);
    let text = "";
    for await (const chunk of createReadStream(fifo, "latin1")) text += String(chunk); // until the command closes it
    closeSync(fd);
    const report = await command.report();
    const numbers = text
      .split("\n")
      .slice(0, -1)
      .map((line) => {
        assert.equal(line.length, 7 + body.length, "each is whole");
        return Number(line.slice(0, 6));
      });
    assert.ok(
      numbers.every((number, index) => index === 0 || number > (numbers[index - 1] ?? 0)),
      "in order",
    );
    assert.equal(report["datagrams"], numbers.length);
    const drops = report["kernelDrops"];
    assert.ok(typeof drops === "number" && drops > 0, "28 MB do not fit");
    assert.equal(numbers.length + drops, SENT, "received + dropped by the kernel = sent");
    assert.ok(report.pauses > 0, "reading has stopped");
    assert.ok(report.rssMaxBytes < 110e6, `the command had ${report.rssMaxBytes} bytes`);
  },
);

test("`-o -` whose reader goes away ends quietly", async (t) => {
  const command = new RunningCommand(t, ["recv", "udp://:0", "-o", "-", "--framing", "lines"]);
  const port = await command.port();
  const { stdout } = command.child;
  const socket = sender(t);
  await send(socket, Buffer.from("one line"), port);
  assert.ok(stdout !== null);
  const [chunk] = (await once(stdout, "data")) as [Buffer]; // no encoding was set
  assert.equal(chunk.toString(), "one line\n");
  stdout.destroy();
  const isOver = command.ended;
  const timer = setInterval(() => socket.send("another", port), 20); // only a write shows that nobody reads
  t.after(() => clearInterval(timer));
  assert.deepEqual(await isOver, { code: 0, signal: null });
  clearInterval(timer);
  assert.match(command.stderr, /as \d+ datagrams? .*\n.*\nwrote /);
  assert.doesNotMatch(command.stderr, /EPIPE|jumbo:/);
});

test("datagrams that come before everything is ready cost nobody the file of the last run", async (t) => {
  const out = inFolder("precious.bin");
  writeFileSync(out, "the user's");
  const port = await freePort();
  const busy = sender(t);
  await new Promise<void>((resolve) => busy.bind(0, "127.0.0.1", resolve));
  const flood = sender(t);
  const over = new AbortController();
  const flooding = (async (): Promise<void> => {
    for (; !over.signal.aborted; await turn()) await send(flood, Buffer.from("early"), port).catch(() => {});
  })();
  // The second one's name takes a while to look up: then datagrams come to the first.
  const urls = [`udp://127.0.0.1:${port}`, `udp://localhost:${busy.address().port}`];
  const { code, stderr } = await run(t, "recv", ...urls, "-o", out);
  over.abort();
  await flooding;
  assert.equal(code, 1);
  assert.match(stderr, /^jumbo: [^\n]*the port is in use; .*: ss -lunp sport = :\d+\n$/);
  assert.equal(readFileSync(out, "utf8"), "the user's");
});

/** One that was free a moment ago. */
async function freePort(): Promise<number> {
  const socket = dgram.createSocket("udp4");
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
  const { port } = socket.address();
  await new Promise<void>((resolve) => socket.close(() => resolve()));
  return port;
}

/**
 * Shows: what socat, nc, curl and openssl send, over TCP, TLS and Unix sockets, IPv4 and IPv6, is what is found on disk and on standard
 * output; a client that idles is in nobody's way; when --once and --duration end; and what --json says.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { closeSync, createReadStream, openSync, readFileSync, writeFileSync } from "node:fs";
import { spawn } from "node:child_process";
import net from "node:net";
import path from "node:path";
import { after, test } from "node:test";
import { makeCertificate } from "../support/certificate.ts";
import { pattern } from "../support/pattern.ts";
import { RunningCommand, connect, missing, peer, run, temporaryFolder } from "./command.ts";

const folder = temporaryFolder({ after });
const inFolder = (name: string): string => path.join(folder, name);
const BIG_BYTES = 100_000_000;
const bigFile = inFolder("big.bin");
writeFileSync(bigFile, pattern(0, BIG_BYTES));
const smallFile = inFolder("small.bin");
writeFileSync(smallFile, pattern(0, 3_000_001));

async function sha256(file: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer); // no encoding was set
  return hash.digest("hex");
}

async function receiving(
  t: Parameters<typeof run>[0],
  ...args: string[]
): Promise<{ command: RunningCommand; port: number }> {
  const command = new RunningCommand(t, ["recv", ...args]);
  return { command, port: await command.port() };
}

test("100 MB from socat arrive while a client that came before idles", { skip: missing("socat") }, async (t) => {
  const out = inFolder("from-socat.bin");
  const { command, port } = await receiving(t, "tcp://127.0.0.1:0", "-o", out, "--once", "--json");
  const idle = await connect(t, port);
  const idleEnd = new Promise((resolve) => idle.on("close", resolve));
  await peer(t, "socat", ["-u", `FILE:${bigFile}`, `TCP:127.0.0.1:${port}`]);
  const report = await command.report();
  assert.deepEqual(await command.ended, { code: 0, signal: null });
  await idleEnd;
  assert.equal(await sha256(out), await sha256(bigFile));
  assert.equal(report.bytes, BIG_BYTES);
  assert.equal(report.bytesWritten, BIG_BYTES);
  assert.equal(report["connections"], 2);
  assert.equal(report.pool.inUse, 0);
});

test("nc over IPv6, with small pages of a small pool", { skip: missing("nc") || (await noIpv6()) }, async (t) => {
  const out = inFolder("from-nc.bin");
  const { command, port } = await receiving(
    t,
    "tcp://[::1]:0",
    "-o",
    out,
    "--once",
    "--page-size",
    "4096",
    "--pages",
    "2",
  );
  assert.match(command.stderr, /listening on tcp:\/\/\[::1\]:/);
  const stdin = openSync(smallFile, "r");
  t.after(() => closeSync(stdin));
  await peer(t, "nc", ["-N", "::1", String(port)], stdin);
  assert.deepEqual(await command.ended, { code: 0, signal: null });
  assert.equal(await sha256(out), await sha256(smallFile));
  assert.match(
    command.stderr,
    /received 3\.00 MB \(3,000,001 bytes\) from 1 connection in .*\nwrote 3,000,001 bytes to /,
  );
  assert.match(command.stderr, /4 KiB pages: \d of 2 in use at most, all are back/);
});

test("what curl sends, after its header, on standard output", { skip: missing("curl") }, async (t) => {
  const { command, port } = await receiving(t, "tcp://127.0.0.1:0", "-o", "-", "--once");
  const curl = spawn("curl", ["-sS", "-H", "Expect:", "-T", smallFile, `http://127.0.0.1:${port}/`], {
    stdio: "ignore",
  });
  t.after(() => void curl.kill());
  const content = readFileSync(smallFile);
  const chunks: Buffer[] = [];
  let length = 0;
  let headerLength = -1;
  for await (const chunk of command.child.stdout ?? []) {
    chunks.push(chunk as Buffer); // no encoding was set
    length += (chunk as Buffer).length;
    if (headerLength < 0) headerLength = Buffer.concat(chunks).indexOf("\r\n\r\n") + 4;
    if (length === headerLength + content.length) curl.kill(); // it waits for an answer
  }
  const received = Buffer.concat(chunks);
  assert.match(received.toString("latin1", 0, headerLength), /^PUT \/small\.bin HTTP\/1\.1\r\n/);
  assert.ok(received.subarray(headerLength).equals(content));
  assert.deepEqual(await command.ended, { code: 0, signal: null });
});

const made = makeCertificate();
test(
  "openssl s_client over TLS; one that does not speak it is counted",
  { skip: "reason" in made ? made.reason : false },
  async (t) => {
    assert.ok(!("reason" in made));
    const [cert, key, text, out] = ["cert.pem", "key.pem", "text", "from-openssl"].map(inFolder) as [
      string,
      string,
      string,
      string,
    ]; // four
    writeFileSync(cert, made.cert);
    writeFileSync(key, made.key);
    writeFileSync(text, pattern(0, 500_000).toString("hex")); // s_client takes a Q or an R of its input as a command
    const { command, port } = await receiving(
      t,
      "tls://localhost:0",
      "--cert",
      cert,
      "--key",
      key,
      "-o",
      out,
      "--once",
      "--json",
    );
    const plain = await connect(t, port);
    plain.end("this is no TLS\n");
    await command.says(/TLS with \S+ did not come about: /);
    const stdin = openSync(text, "r");
    t.after(() => closeSync(stdin));
    await peer(t, "openssl", ["s_client", "-connect", `localhost:${port}`], stdin);
    const report = await command.report();
    assert.deepEqual(await command.ended, { code: 0, signal: null });
    assert.equal(readFileSync(out, "utf8"), readFileSync(text, "utf8"));
    assert.deepEqual([report["connections"], report["errors"], report["connectionsCut"]], [1, 1, 0]);
  },
);

test(
  "several URLs at a time, a Unix socket among them, each connection in its file",
  { skip: missing("socat") },
  async (t) => {
    const socketPath = inFolder("in socket");
    const incoming = inFolder("incoming/");
    const { command, port } = await receiving(
      t,
      "tcp://:0",
      `unix://${encodeURI(socketPath)}`,
      "-o",
      incoming,
      "--json",
    );
    await command.says(/listening on unix:/);
    // At the same time, and both under way before either ends.
    const [first, second] = [await connect(t, port), await connect(t, socketPath)];
    first.write(pattern(0, 1_000_000));
    second.write(pattern(7, 2_000_000));
    await peer(t, "socat", ["-u", `FILE:${smallFile}`, `UNIX-CONNECT:${socketPath}`]);
    first.end(pattern(1_000_000, 500_000));
    second.end(pattern(2_000_007, 500_000));
    await command.says(/(?: sent .*\n[^]*){3}/);
    command.child.kill("SIGTERM");
    const report = await command.report();
    assert.deepEqual([report.bytes, report.bytesWritten, report["files"]], [7_000_001, 7_000_001, 3]);
    const files = [1, 2, 3].map((number) => readFileSync(`${incoming}connection-000${number}.bin`));
    const expected = [pattern(0, 1_500_000), pattern(7, 2_500_000), pattern(0, 3_000_001)];
    for (const content of expected)
      assert.ok(
        files.some((file) => file.equals(content)),
        `${content.length} bytes are in a file of their own`,
      );

    const again = await receiving(t, "tcp://:0", "-o", incoming, "--once");
    writeFileSync(`${incoming}connection-0004.bin`, "somebody else's");
    (await connect(t, again.port)).end("more");
    await again.command.ended;
    assert.equal(readFileSync(`${incoming}connection-0005.bin`, "utf8"), "more", "nothing is overwritten");
  },
);

for (const engine of ["onread", "data"]) {
  test(`--json has all the keys, engine ${engine}`, async (t) => {
    const { command, port } = await receiving(t, "tcp://:0", "--once", "--json", "--engine", engine);
    (await connect(t, port)).end(pattern(0, 1_000_000));
    const report = await command.report();
    const { version, bytes, seconds, reads, pool, cpu, gc, rssMaxBytes } = report;
    assert.deepEqual(
      { engine: report["engine"], bytes, connections: report["connections"] },
      { engine, bytes: 1_000_000, connections: 1 },
    );
    assert.match(String(version), /^\d+\.\d+\.\d+/);
    for (const number of [seconds, reads, rssMaxBytes]) assert.ok(typeof number === "number" && number > 0);
    assert.equal(typeof report.pauses, "number");
    assert.deepEqual(Object.keys(cpu as object), ["userSeconds", "systemSeconds"]);
    assert.deepEqual(Object.keys(gc as object), ["count", "milliseconds"]);
    assert.ok(pool.taken > 0);
    assert.deepEqual([pool.inUse, pool.returned], [0, pool.taken]);
    assert.deepEqual([report["output"], report["endedBy"], report["exitCode"]], [null, "once", 0]);
    assert.match(command.stderr, /^listening on tcp:\/\/127\.0\.0\.1:\d+\n$/, "no text beside it");
  });
}

test("--once: one that only looks whether the port is open does not end the transfer of another", async (t) => {
  const { command, port } = await receiving(t, "tcp://:0", "--once", "--json");
  const sender = await connect(t, port);
  sender.write("begun, ");
  const looker = await connect(t, port);
  looker.end();
  await once(looker, "close");
  sender.end("ended");
  assert.equal((await command.report()).bytes, 12);
});

test("--once: a connection that is reset makes it exit code 1, and says what there is", async (t) => {
  const out = inFolder("reset.bin");
  const { command, port } = await receiving(t, "tcp://:0", "--once", "-o", out);
  const client = await connect(t, port);
  client.write("0123456789");
  await untilFileHas(out, 10);
  client.resetAndDestroy();
  assert.deepEqual(await command.ended, { code: 1, signal: null });
  assert.match(command.stderr, /127\.0\.0\.1:\d+ failed after 10 bytes: connection reset by peer \(ECONNRESET\)/);
  assert.match(command.stderr, /from 1 connection, 1 error(?: in .*)?\nwrote 10 bytes to /);
});

test("without --once a reset is counted, and the others go on", async (t) => {
  const { command, port } = await receiving(t, "tcp://:0", "--json");
  const [bad, good] = [await connect(t, port), await connect(t, port)];
  bad.resetAndDestroy();
  await command.says(/failed after 0 bytes: connection reset by peer/);
  good.end("fine");
  await once(good.resume(), "close");
  command.child.kill("SIGINT");
  const report = await command.report();
  assert.deepEqual(await command.ended, { code: 0, signal: null });
  assert.deepEqual([report.bytes, report["connections"], report["errors"]], [4, 2, 1]);
});

test("--duration ends by itself; with --once and nobody there it is exit code 1", async (t) => {
  const results = await Promise.all([
    run(t, "recv", "tcp://:0", "--duration", "0.2"),
    run(t, "recv", "tcp://:0", "--duration", "0.2", "--once"),
  ]);
  assert.deepEqual(
    results.map(({ code }) => code),
    [0, 1],
  );
  assert.match(results[0].stderr, /received 0 B \(0 bytes\) from 0 connections\nnothing was kept/);
});

async function untilFileHas(file: string, bytes: number): Promise<void> {
  const end = performance.now() + 10_000;
  while (readFileSync(file).length < bytes) {
    assert.ok(performance.now() < end, `${file} has ${bytes} bytes in time`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

async function noIpv6(): Promise<string | false> {
  const server = net.createServer().listen(0, "::1");
  const isThere = await once(server, "listening").then(
    () => true,
    () => false,
  );
  server.close();
  return isThere ? false : "there is no IPv6 here";
}

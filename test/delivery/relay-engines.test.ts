/**
 * Shows when the kernel moves the bytes and when pages do, and that both give way to the other without losing a byte: TLS, no system calls, no pipe
 * to be had; worker threads; a process that has nothing else to do; and programs nobody here wrote at both ends.
 */
import assert from "node:assert/strict";
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import net from "node:net";
import path from "node:path";
import { test } from "node:test";
import tls from "node:tls";
import { Worker } from "node:worker_threads";
import { relay } from "../../src/delivery/index.ts";
import { discardPipe, takePipe } from "../../src/delivery/kernel-pipes.ts";
import { PageMover } from "../../src/delivery/page-mover.ts";
import { SpliceMover } from "../../src/delivery/splice-mover.ts";
import { loadSpliceCalls } from "../../src/os/splice-calls.ts";
import type { KernelPipe, SpliceCalls } from "../../src/os/splice-calls.ts";
import { poolFor, until } from "../support/at-rest.ts";
import { isPattern, pattern } from "../support/pattern.ts";
import { portOf, socketPair } from "../support/sockets.ts";
import { noTls, pem } from "../support/transports.ts";
import { ENGINES, receiveAll, skipFor, startProxy } from "./proxy.ts";

const RELAYS_OF_WORKER = 2;
const CHILD = path.join(import.meta.dirname, "relay-child.js");

test(
  "TLS is relayed with pages, and the reason is told; who insists on splice is refused",
  { skip: noTls },
  async (t) => {
    const pool = poolFor(t);
    const { near: to, far: taker } = await socketPair(t, () => {});
    const server = tls.createServer(pem, (socket) => {
      assert.throws(() => relay(socket, to, { pool, engine: "splice" }), { code: "ERR_JUMBO_OPTION_INVALID" });
      const leg = relay(socket, to, { pool });
      assert.equal(leg.stats().engine, "pages");
      assert.match(leg.stats().engineReason ?? "", /no TCP or Unix socket/);
    });
    server.listen(0, "127.0.0.1");
    t.after(() => server.close());
    await once(server, "listening");
    const client = tls.connect({ port: portOf(server), host: "127.0.0.1", rejectUnauthorized: false });
    client.end(pattern(0, 1_000_000));
    const all = await receiveAll(taker);
    assert.ok(isPattern(all, 0));
    assert.equal(all.length, 1_000_000);
  },
);

test("splice gives way to pages when there is no pipe, at first or later", { skip: skipFor("splice") }, async (t) => {
  const { calls } = loadSpliceCalls();
  assert.ok(calls);
  for (const bytesBefore of [0, 1_000]) {
    const pool = poolFor(t);
    const { near: from, far: sender } = await socketPair(t, () => {});
    const { near: to, far: taker } = await socketPair(t, () => {});
    const result = receiveAll(taker);
    let hasPipes = bytesBefore > 0;
    const failing: SpliceCalls = { ...calls, makePipe: (size) => (hasPipes ? calls.makePipe(size) : -24) };
    const reason = new Promise<string>((resolve) => {
      const mover = new SpliceMover(from, to, failing, (text) => {
        new PageMover(from, to, pool, 16).start();
        resolve(text);
      });
      mover.start();
    });
    sender.write(pattern(0, bytesBefore));
    await until(() => taker.bytesRead === bytesBefore, "spliced");
    hasPipes = false;
    if (bytesBefore > 0) discardPipe(calls, takeKept(failing)); // the one it has put back
    sender.end(pattern(bytesBefore, 3_000_000));
    assert.match(await reason, /EMFILE/);
    const all = await result;
    assert.equal(all.length, bytesBefore + 3_000_000);
    assert.ok(isPattern(all, 0));
  }
});

function takeKept(calls: SpliceCalls): KernelPipe {
  const pipe = takePipe(calls);
  assert.ok(typeof pipe !== "number", "a pipe is kept");
  return pipe;
}

test("without system calls it is pages, and the reason is told", () => {
  const { stdout } = spawnSync(process.execPath, [CHILD], {
    encoding: "utf8",
    env: { ...process.env, JUMBO_FFI: "0" },
  });
  const [stats] = JSON.parse(stdout) as { engine: string; engineReason: string; bytesWritten: number }[];
  assert.deepEqual(
    [stats?.engine, stats?.engineReason, stats?.bytesWritten],
    ["pages", "switched off by JUMBO_FFI=0", 5_000_000],
  );
});

test("a process stays for as long as a relay runs, and ends by itself afterwards", { skip: skipFor("splice") }, () => {
  const { status, stdout } = spawnSync(process.execPath, [CHILD], { encoding: "utf8", timeout: 20_000 });
  assert.equal(status, 0);
  const [stats] = JSON.parse(stdout) as { engine: string; bytesWritten: number }[];
  assert.deepEqual([stats?.engine, stats?.bytesWritten], ["splice", 5_000_000]);
});

test("relays run in worker threads, each with an epoll set of its own", async () => {
  const workers = [new Worker(CHILD, { stdout: true }), new Worker(CHILD, { stdout: true })];
  const codes = await Promise.all(workers.map(async (worker) => (await once(worker, "exit"))[0] as number));
  assert.deepEqual(codes, [0, 0]);
});

test("workers that are terminated in mid-relay leave no descriptor open", { skip: skipFor("splice") }, async () => {
  const file = path.join(import.meta.dirname, "relay-worker.js");
  const terminateOne = async (): Promise<void> => {
    const worker = new Worker(file);
    for (let stalled = 0; stalled < RELAYS_OF_WORKER; stalled++) await once(worker, "message");
    await worker.terminate();
  };
  await terminateOne(); // what the first brings and keeps is not counted
  const before = readdirSync("/proc/self/fd").length;
  for (let i = 0; i < 50; i++) await terminateOne();
  assert.equal(readdirSync("/proc/self/fd").length, before);
});

const noSocat = spawnSync("socat", ["-V"]).error === undefined ? false : "there is no socat";
for (const engine of ENGINES) {
  test(`${engine}: a digest from socat to socat is intact`, { skip: noSocat || skipFor(engine) }, async (t) => {
    const pool = poolFor(t, { audit: false });
    const bytes = 200_000_000;
    // openssl makes bytes that no two places of the stream share.
    const source = `openssl enc -aes-128-ctr -nosalt -K ${"0".repeat(32)} -iv ${"0".repeat(32)} < /dev/zero 2>/dev/null | head -c ${bytes}`;
    const digest = execFileSync("sh", ["-c", `${source} | sha256sum`], { encoding: "utf8" }).slice(0, 64);
    const sink = spawn("socat", ["-u", "-d", "-d", "TCP-LISTEN:0,bind=127.0.0.1", "STDOUT"], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    const port = await listeningPort(sink.stderr);
    const hash = createHash("sha256");
    sink.stdout.on("data", (chunk: Buffer) => hash.update(chunk));
    const proxy = await startProxy(t, port, { pool, engine });
    const sender = spawn("sh", ["-c", `${source} | socat -u STDIN TCP:127.0.0.1:${proxy}`], { stdio: "ignore" });
    t.after(() => (sender.kill(), sink.kill()));
    await once(sink.stdout, "end");
    assert.equal(hash.digest("hex"), digest);
  });
}

/** The port that socat says it listens on. */
async function listeningPort(stderr: NodeJS.ReadableStream): Promise<number> {
  let text = "";
  stderr.on("data", (chunk: Buffer) => (text += chunk.toString()));
  await until(() => /listening on .*:\d+/.test(text), "socat listens");
  return Number(/listening on .*:(\d+)/.exec(text)?.[1]);
}

test(
  "a descriptor is asked for anew: a socket destroyed by a callback in mid-transfer is never spliced again",
  { skip: skipFor("splice") },
  async (t) => {
    const pool = poolFor(t);
    for (let i = 0; i < 20; i++) {
      const { near: from, far: sender } = await socketPair(t, () => {});
      const { near: to, far: taker } = await socketPair(t, () => {});
      sender.on("error", () => {}).write(pattern(0, 5_000_000));
      const leg = relay(from, to, { pool, engine: "splice" });
      taker.once("data", () => {
        from.destroy();
        // Takes the number that has just become free, and hears nothing of the other connection.
        const other = net.createServer().listen(0, "127.0.0.1");
        t.after(() => other.close());
      });
      taker.on("error", () => {}).resume();
      await assert.rejects(leg.done, { code: "ERR_STREAM_PREMATURE_CLOSE" });
    }
  },
);

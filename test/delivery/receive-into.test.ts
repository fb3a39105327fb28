/**
 * Shows that `receiveInto()` puts every byte where it belongs, whether the kernel writes it there or it comes from pages, flipped or copied: over ends, resets,
 * targets that go away, sockets that are destroyed, connecting, paused or read ahead by Node; and that the one engine gives way to the other.
 */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, openSync, rmSync } from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { afterEach, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import tls from "node:tls";
import { Worker } from "node:worker_threads";
import { receiveInto, receiveIntoEngine, zeroCopy } from "../../src/delivery/index.ts";
import { KernelSource } from "../../src/delivery/kernel-source.ts";
import { readiness } from "../../src/delivery/readiness.ts";
import { loadRecvCall } from "../../src/os/recv-call.ts";
import { withCode } from "../pool/with-code.ts";
import { poolFor, until } from "../support/at-rest.ts";
import { isPattern, pattern } from "../support/pattern.ts";
import { Random } from "../support/random.ts";
import { connect, listen, portOf, socketPair } from "../support/sockets.ts";
import { noTls, pem } from "../support/transports.ts";

type Resizable = ArrayBuffer & { resize(bytes: number): void };
type WasmMemory = { readonly buffer: ArrayBuffer; grow(pages: number): number };
declare const WebAssembly: {
  Memory: new (limits: { initial: number; maximum?: number; shared?: boolean }) => WasmMemory;
};

const CHILD = path.join(import.meta.dirname, "receive-into-child.js");
const recv = loadRecvCall();
const noRecv = recv.call === null ? recv.reason : false;
const noFlip = zeroCopy.reason ?? false;
afterEach(() => {
  zeroCopy.flipMinBytes = null;
});

function wasmMemory(bytes: number, isShared = false): Uint8Array {
  const pages = Math.ceil(bytes / 65_536);
  return new Uint8Array(new WebAssembly.Memory({ initial: pages, maximum: pages, shared: isShared }).buffer);
}

const WAYS = [
  { name: "recv", engine: "recv", flipMinBytes: null, skip: noRecv },
  { name: "pages, flipped", engine: "pages", flipMinBytes: 0, skip: noFlip },
  { name: "pages, copied", engine: "pages", flipMinBytes: Infinity, skip: false },
  { name: "pages, as measured", engine: "pages", flipMinBytes: null, skip: false },
] as const;
const ENGINES = [WAYS[0], WAYS[3]] as const;

for (const { name, engine, flipMinBytes, skip } of WAYS) {
  test(`${name}: target after target, of any size, until the end`, { skip }, async (t) => {
    const pool = poolFor(t, { pageSizeBytes: 65_536, pagesMax: 64 });
    zeroCopy.flipMinBytes = flipMinBytes;
    const bytes = 10_000_000;
    const { near, far } = await socketPair(t, () => {});
    far.end(pattern(0, bytes));
    const { flipped, copied, received } = zeroCopy;
    let at = 0;
    const targets = [wasmMemory(4_194_304, true), wasmMemory(1_048_576), new Uint8Array(777), new Uint8Array(0)];
    for (let turn = 0; at < bytes; turn++) {
      const target = targets[turn % targets.length] ?? new Uint8Array(1);
      const count = await receiveInto(near, target, { pool, engine });
      assert.ok(isPattern(target.subarray(0, count), at), `the bytes from ${at} on`);
      at += count;
      if (count < target.length) break;
    }
    assert.equal(at, bytes);
    assert.equal(await receiveInto(near, new Uint8Array(10), { pool }), 0, "after the end");
    assert.deepEqual(receiveIntoEngine(near), { engine, engineReason: null });
    if (flipMinBytes === Infinity) assert.equal(zeroCopy.copied - copied, bytes);
    if (flipMinBytes === 0) assert.ok(zeroCopy.flipped > flipped, "some pages were flipped");
    if (engine === "recv") assert.equal(zeroCopy.received - received + (zeroCopy.copied - copied), bytes);
  });

  test(`${name}: random sizes, turns and pauses`, { skip }, async (t) => {
    for (const seed of [1, 2, 3, 4]) {
      const random = new Random(seed);
      const pool = poolFor(t, { pageSizeBytes: random.pick([4096, 16_384, 65_536]), pagesMax: 128 });
      zeroCopy.flipMinBytes = flipMinBytes;
      const bytes = random.int(100_000, 8_000_000);
      const { near, far } = await socketPair(t, () => {});
      const sending = send(far, bytes, random.fork());
      const memory = wasmMemory(2_097_152);
      for (let at = 0; at < bytes;) {
        const start = random.chance(0.5) ? random.int(0, 31) * 65_536 : random.int(0, 2_000_000);
        const target = memory.subarray(start, start + random.int(1, random.pick([100, 5000, 2_097_152])));
        const count = await receiveInto(near, target, { pool, engine });
        assert.ok(isPattern(target.subarray(0, count), at), `seed ${seed}: the bytes from ${at} on`);
        assert.ok(count === target.length || at + count === bytes);
        at += count;
        if (random.chance(0.1)) await delay(1);
      }
      await sending;
    }
  });
}

async function send(socket: net.Socket, bytes: number, random: Random): Promise<void> {
  for (let at = 0; at < bytes;) {
    const count = Math.min(bytes - at, random.int(1, random.pick([10, 10_000, 1_000_000])));
    if (!socket.write(pattern(at, count))) await once(socket, "drain");
    if (random.chance(0.1)) await delay(1);
    at += count;
  }
  socket.end();
}

for (const { engine, skip } of ENGINES) {
  test(`${engine}: a socket that is reset: what came before is returned, then its error, once`, { skip }, async (t) => {
    const pool = poolFor(t);
    const { near, far } = await socketPair(t, () => {});
    const errors: unknown[] = [];
    near.on("error", (error) => errors.push(error));
    const target = new Uint8Array(2_000);
    const pending = receiveInto(near, target, { pool, engine });
    await assert.rejects(receiveInto(near, target, { pool }), withCode("ERR_JUMBO_RECEIVER_ACTIVE"));
    far.write(pattern(0, 1_000));
    await until(() => isPattern(target.subarray(0, 1_000), 0), "received");
    far.resetAndDestroy();
    assert.equal(await pending, 1_000);
    await assert.rejects(receiveInto(near, target, { pool }), { code: "ECONNRESET" });
    if (!near.closed) await once(near, "close");
    await assert.rejects(receiveInto(near, target, { pool }), { code: "ECONNRESET" });
    await assert.rejects(receiveInto(near, "text" as never, { pool }), withCode("ERR_JUMBO_OPTION_INVALID"));
    assert.equal(errors.length, 1);
  });

  test(`${engine}: a reset between two calls is told to the second`, { skip }, async (t) => {
    const pool = poolFor(t);
    const { near, far } = await socketPair(t, () => {});
    near.on("error", () => {});
    far.write(pattern(0, 1_000));
    assert.equal(await receiveInto(near, new Uint8Array(1_000), { pool, engine }), 1_000);
    far.resetAndDestroy();
    await once(far, "close");
    await assert.rejects(receiveInto(near, new Uint8Array(10), { pool }), { code: "ECONNRESET" });
  });

  test(
    `${engine}: an end in the middle: 'end' is told as ever, and the other direction stays open`,
    { skip },
    async (t) => {
      const pool = poolFor(t);
      const { near, far } = await socketPair(t, () => {}, { allowHalfOpen: true });
      let ends = 0;
      near.on("end", () => ends++);
      const target = new Uint8Array(2_000);
      const pending = receiveInto(near, target, { pool, engine });
      far.end(pattern(0, 1_500));
      assert.equal(await pending, 1_500);
      assert.ok(isPattern(target.subarray(0, 1_500), 0));
      assert.equal(await receiveInto(near, target, { pool }), 0);
      assert.equal(ends, 1);
      far.resume();
      near.end("bye");
      await Promise.all([once(near, "close"), once(far, "end")]);
      assert.equal(far.bytesRead, 3);
    },
  );

  test(`${engine}: destroyed in the middle: what came is returned; then, that it was`, { skip }, async (t) => {
    const pool = poolFor(t);
    const { near, far } = await socketPair(t, () => {});
    const target = new Uint8Array(2_000);
    const pending = receiveInto(near, target, { pool, engine });
    far.write(pattern(0, 1_000));
    await until(() => isPattern(target.subarray(0, 1_000), 0), "received");
    near.destroy();
    assert.equal(await pending, 1_000);
    await assert.rejects(receiveInto(near, target, { pool }), { code: "ERR_STREAM_PREMATURE_CLOSE" });
    const other = await socketPair(t, () => {});
    const nothing = receiveInto(other.near, target, { pool, engine });
    other.near.destroy(new Error("enough"));
    other.near.on("error", () => {});
    await assert.rejects(nothing, /enough/);
    assert.equal(pool.stats().inUse, 0);
  });

  test(
    `${engine}: a target that goes away is not written to; the next call goes on behind what came`,
    { skip },
    async (t) => {
      const pool = poolFor(t);
      const { near, far } = await socketPair(t, () => {});
      const memory = new WebAssembly.Memory({ initial: 1, maximum: 4 });
      const plain = new ArrayBuffer(65_536);
      // Node has them, @types/node does not declare them.
      const shrinking = Reflect.construct(ArrayBuffer, [65_536, { maxByteLength: 131_072 }]) as Resizable;
      const ways: readonly (readonly [Uint8Array, () => unknown])[] = [
        [new Uint8Array(memory.buffer), () => memory.grow(1)],
        [new Uint8Array(plain), () => structuredClone(plain, { transfer: [plain] })],
        [new Uint8Array(shrinking, 0, 60_000), () => shrinking.resize(4096)],
      ];
      let at = 0;
      for (const [target, takeAway] of ways) {
        const pending = receiveInto(near, target, { pool, engine });
        far.write(pattern(at, 1_000));
        await until(() => isPattern(target.subarray(0, 1_000), at), "received");
        takeAway();
        far.write(pattern(at + 1_000, 500));
        await assert.rejects(pending, withCode("ERR_JUMBO_TARGET_LOST"));
        const next = new Uint8Array(500);
        assert.equal(await receiveInto(near, next, { pool }), 500);
        assert.ok(isPattern(next, at + 1_000));
        at += 1_500;
      }
    },
  );

  test(`${engine}: nothing is read for a full target: the sender waits`, { skip }, async (t) => {
    const pool = poolFor(t, { pageSizeBytes: 65_536, pagesMax: 32 });
    const { near, far } = await socketPair(t, () => {});
    const bytes = 40_000_000;
    far.end(pattern(0, bytes));
    const target = new Uint8Array(1_000_000);
    assert.equal(await receiveInto(near, target, { pool, engine }), target.length);
    await delay(100);
    assert.ok(far.writableLength > bytes / 2, "most of it has not been taken");
    if (engine === "recv") assert.equal(pool.stats().inUse, 0);
    let at = target.length;
    for (let count = -1; count !== 0;) {
      count = await receiveInto(near, target, { pool });
      assert.ok(isPattern(target.subarray(0, count), at));
      at += count;
    }
    assert.equal(at, bytes);
  });

  test(`${engine}: what Node has read before, on a socket that is paused, comes first`, { skip }, async (t) => {
    const pool = poolFor(t);
    const { near, far } = await socketPair(t, () => {});
    far.write(pattern(0, 10_000));
    await until(() => near.readableLength === 10_000, "read ahead");
    near.pause();
    far.end(pattern(10_000, 5_000));
    const target = new Uint8Array(4_000);
    for (let at = 0; at < 15_000; at += 4_000) {
      const count = await receiveInto(near, target, { pool, engine });
      assert.equal(count, Math.min(4_000, 15_000 - at));
      assert.ok(isPattern(target.subarray(0, count), at));
    }
  });

  test(`${engine}: a socket that ended before the first call`, { skip }, async (t) => {
    const pool = poolFor(t);
    const { near, far } = await socketPair(t, () => {});
    far.end(pattern(0, 10_000));
    await until(() => near.readableLength === 10_000, "read ahead");
    await delay(20); // and its end
    const target = new Uint8Array(20_000);
    assert.equal(await receiveInto(near, target, { pool, engine }), 10_000);
    assert.ok(isPattern(target.subarray(0, 10_000), 0));
    assert.equal(await receiveInto(near, target, { pool }), 0);
  });

  test(`${engine}: a socket that is still connecting; one that never connects`, { skip }, async (t) => {
    const pool = poolFor(t);
    const port = await listen(t, (socket) => socket.end(pattern(0, 100_000)));
    const target = new Uint8Array(200_000);
    assert.equal(await receiveInto(connect(t, port), target, { pool, engine }), 100_000);
    assert.ok(isPattern(target.subarray(0, 100_000), 0));
    const refused = net.connect(1, "127.0.0.1").on("error", () => {});
    await assert.rejects(receiveInto(refused, target, { pool, engine }), { code: "ECONNREFUSED" });
  });

  test(`${engine}: two sockets at a time, each way`, { skip }, async (t) => {
    const pool = poolFor(t);
    const { near, far } = await socketPair(t, () => {});
    const other = await socketPair(t, () => {});
    const sockets = [near, far, other.near, other.far] as const;
    sockets.forEach((socket, index) => socket.end(pattern(index, 3_000_000)));
    await Promise.all(
      sockets.map(async (socket, index) => {
        const target = new Uint8Array(4_000_000);
        assert.equal(await receiveInto(socket, target, { pool, engine }), 3_000_000);
        assert.ok(isPattern(target.subarray(0, 3_000_000), index ^ 1));
      }),
    );
  });

  test(`${engine}: an idle timeout counts from the last byte`, { skip }, async (t) => {
    const pool = poolFor(t);
    const { near, far } = await socketPair(t, () => {});
    let timeouts = 0;
    near.setTimeout(400).on("timeout", () => timeouts++);
    const pending = receiveInto(near, new Uint8Array(100), { pool, engine });
    for (let i = 0; i < 8; i++) {
      far.write("x");
      await delay(100);
    }
    assert.equal(timeouts, 0);
    await until(() => timeouts === 1, "timed out");
    near.destroy();
    assert.equal(await pending, 8);
  });

  test(`${engine}: a Unix socket`, { skip }, async (t) => {
    const pool = poolFor(t);
    const folder = mkdtempSync(path.join(os.tmpdir(), "jumbo-"));
    t.after(() => rmSync(folder, { recursive: true }));
    const file = path.join(folder, "socket");
    const server = net.createServer((socket) => socket.end(pattern(0, 1_000_000))).listen(file);
    t.after(() => server.close());
    await once(server, "listening");
    const target = new Uint8Array(1_000_001);
    assert.equal(await receiveInto(net.connect(file), target, { pool, engine }), 1_000_000);
    assert.ok(isPattern(target.subarray(0, 1_000_000), 0));
  });
}

test("TLS comes from pages, and the reason is told; who insists on recv is refused", { skip: noTls }, async (t) => {
  const pool = poolFor(t);
  const target = new Uint8Array(2_000_000);
  const done = new Promise<number>((resolve, reject) => {
    const server = tls.createServer(pem, (socket) => {
      assert.match(receiveIntoEngine(socket).engineReason ?? "", /a socket speaks TLS/);
      const refused = receiveInto(socket, target, { pool, engine: "recv" });
      assert
        .rejects(refused, withCode("ERR_JUMBO_OPTION_INVALID"))
        .then(() => receiveInto(socket, target, { pool }))
        .then(resolve, reject);
    });
    server.listen(0, "127.0.0.1", () => {
      tls.connect({ port: portOf(server), host: "127.0.0.1", rejectUnauthorized: false }).end(pattern(0, 1_000_000));
    });
    t.after(() => server.close());
  });
  assert.equal(await done, 1_000_000);
  assert.ok(isPattern(target.subarray(0, 1_000_000), 0));
});

test("a pipe is no socket", { skip: noRecv }, async (t) => {
  const pool = poolFor(t);
  const folder = mkdtempSync(path.join(os.tmpdir(), "jumbo-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const fifo = path.join(folder, "fifo");
  execFileSync("mkfifo", [fifo]);
  const socket = new net.Socket({ fd: openSync(fifo, "r+"), readable: true, writable: true });
  assert.deepEqual(receiveIntoEngine(socket), { engine: "pages", engineReason: "a pipe is no socket" });
  socket.write(pattern(0, 1_000));
  const target = new Uint8Array(1_000);
  assert.equal(await receiveInto(socket, target, { pool }), 1_000);
  assert.ok(isPattern(target, 0));
  socket.destroy();
});

test("when there is no epoll set to be had pages go on, and the reason is told", { skip: noRecv }, async (t) => {
  const pool = poolFor(t);
  const { near, far } = await socketPair(t, () => {});
  t.mock.method(readiness, "enter", () => {
    throw new Error("no descriptor");
  });
  const target = new Uint8Array(1_000_000);
  const pending = receiveInto(near, target, { pool });
  far.write(pattern(0, 700_000));
  await until(() => isPattern(target.subarray(0, 700_000), 0), "received");
  assert.deepEqual(receiveIntoEngine(near), { engine: "pages", engineReason: "no descriptor" });
  far.end(pattern(700_000, 300_000));
  assert.equal(await pending, 1_000_000);
  assert.ok(isPattern(target, 0));
});

function unreachable(): never {
  assert.fail("this is not called");
}

test("another error of the system call is the socket's", { skip: noRecv }, async (t) => {
  const { near } = await socketPair(t, () => {});
  const target = new Uint8Array(10);
  const source = new KernelSource(near, { recv: () => -5 }, () => {}, unreachable);
  assert.equal(source.putInto(target), 0);
  const [error] = (await once(near, "error")) as [NodeJS.ErrnoException];
  assert.deepEqual([error.code, error.syscall], ["EIO", "read"]);
  source.close(error);
});

test("a long stream does not keep the event loop to itself", { skip: noRecv }, async (t) => {
  const { near } = await socketPair(t, () => {});
  const target = new Uint8Array(3_000_000);
  const source = new KernelSource(near, { recv: (_, room) => room.length }, () => {}, unreachable);
  assert.equal(source.putInto(target), 2 ** 20);
  source.close(null);
});

type Printed = { engine: string; engineReason: string | null; received: number; copied: number };

function runChild(args: readonly string[], env: Record<string, string> = {}): Printed {
  const options = { encoding: "utf8", timeout: 20_000, env: { ...process.env, ...env } } as const;
  const { status, stdout } = spawnSync(process.execPath, [CHILD, ...args], options);
  assert.equal(status, 0, "it has ended by itself");
  return JSON.parse(stdout) as Printed;
}

test("without system calls it is pages, and the reason is told", () => {
  const { engine, engineReason, received, copied } = runChild([], { JUMBO_FFI: "0" });
  assert.deepEqual([engine, engineReason, received, copied], ["pages", "switched off by JUMBO_FFI=0", 0, 5_000_000]);
});

test("a process stays for as long as a call is pending, and not for a socket between calls", { skip: noRecv }, () => {
  for (const args of [[], ["idle"]]) assert.equal(runChild(args).engine, "recv");
});

test("in worker threads, to the end and terminated in the middle", async () => {
  const workers = [new Worker(CHILD, { stdout: true }), new Worker(CHILD, { stdout: true })];
  const codes = workers.map(async (worker) => (await once(worker, "exit"))[0] as number);
  assert.deepEqual(await Promise.all(codes), [0, 0]);
  for (let i = 0; i < 10; i++) {
    const worker = new Worker(CHILD, { stdout: true });
    await once(worker, "online");
    await delay(i * 20);
    await worker.terminate();
  }
});

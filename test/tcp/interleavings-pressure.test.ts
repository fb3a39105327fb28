/**
 * Shows: a pool that runs short, for a moment or for long, never leaves a receiver waiting for ever: not when the shortage is over
 * before anybody could hear of it, not when what is armed is all there is, and not at the price of the process's exit. With both engines.
 */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import type net from "node:net";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { JumboPool, Page } from "../../src/index.ts";
import { receive } from "../../src/tcp/index.ts";
import { poolFor, until } from "../support/at-rest.ts";
import { isPattern, pattern } from "../support/pattern.ts";
import { ENGINES, connect, listen, socketPair } from "../support/sockets.ts";
import type { ShortPoolReport } from "./short-pool-client.ts";

const timeout = 30_000;
const run = promisify(execFile);

/** Every page there is, for as long as the shortage is to last. */
function takeAll(pool: JumboPool): Page[] {
  const pages: Page[] = [];
  for (let page = pool.alloc(); page !== null; page = pool.alloc()) pages.push(page);
  return pages;
}

function releaseAll(pages: readonly Page[]): void {
  for (const page of pages) page.release();
}

for (const engine of ENGINES) {
  test(
    `${engine}: receive() in a shortage that is over before the pool could tell: it reads`,
    { timeout },
    async (t) => {
      const pool = poolFor(t, { pagesMax: 8 });
      let bytes = 0;
      const { far } = await socketPair(t, (socket) => {
        const pages = takeAll(pool);
        receive(socket, { pool, engine }, (m) => void (bytes += m.length));
        assert.ok(pool.isUnderPressure);
        releaseAll(pages);
      });
      far.write("hello");
      await until(() => bytes === 5, "received");
    },
  );

  test(
    `${engine}: a consumer that asks in a shortage that is over before the pool could tell: it gets`,
    { timeout },
    async (t) => {
      const TOTAL = 60_000;
      const pool = poolFor(t, { pagesMax: 8, watermarks: { highPages: 4 } });
      const accepted: { near?: net.Socket; iterator?: AsyncIterator<{ bytes: Buffer }, undefined> } = {};
      let receiver: ReturnType<typeof receive> | undefined;
      const { near, far } = await socketPair(t, (socket) => {
        receiver = receive(socket, { pool, engine });
        accepted.iterator = receiver[Symbol.asyncIterator]();
      });
      far.end(pattern(0, TOTAL));
      let offset = 0;
      for (;;) {
        // It falls behind: it has one mbuf, the next waits, and reading has stopped.
        await until(
          () => near.isPaused() || receiver?.stats().bytesReceived === TOTAL,
          () => `behind, at ${offset}`,
        );
        const pages = takeAll(pool);
        const next = accepted.iterator?.next();
        releaseAll(pages);
        const result = await next;
        if (result === undefined || result.done === true) break;
        assert.ok(isPattern(result.value.bytes, offset));
        offset += result.value.bytes.length;
      }
      assert.equal(offset, TOTAL);
    },
  );

  for (const { sockets, pagesMax, pageSizeBytes } of [
    { sockets: 1, pagesMax: 1, pageSizeBytes: 4096 },
    { sockets: 4, pagesMax: 4, pageSizeBytes: 4096 },
    { sockets: 40, pagesMax: 32, pageSizeBytes: 65_536 },
    { sockets: 40, pagesMax: 256, pageSizeBytes: 65_536 },
  ] as const) {
    const name = `${engine}: ${sockets} sockets, ${pagesMax} pages of ${pageSizeBytes}: armed pages are no shortage`;
    test(`${name}, who holds nothing gets everything`, { timeout }, async (t) => {
      const pool = poolFor(t, { pagesMax, pageSizeBytes });
      let bytes = 0;
      let ended = 0;
      const port = await listen(t, (socket) => {
        let offset = 0;
        receive(socket, { pool, engine }, (m) => {
          assert.ok(isPattern(m.bytes, offset));
          offset += m.length;
          bytes += m.length;
        });
        socket.on("end", () => ended++);
      });
      for (let i = 0; i < sockets; i++) connect(t, port).end(pattern(0, 1_000_000));
      await until(
        () => ended === sockets,
        () => `${ended} ended, ${bytes} bytes`,
        timeout - 5_000,
      );
      assert.equal(bytes, sockets * 1_000_000);
    });
  }

  test(`${engine}: who waits for pages keeps the process running until the end`, { timeout }, async (t) => {
    const port = await listen(t, (socket) => void socket.end(pattern(0, 1_000_000)));
    const client = fileURLToPath(new URL("./short-pool-client.js", import.meta.url));
    const { stdout } = await run(process.execPath, [client, String(port), engine], { timeout: timeout - 5_000 });
    const report = JSON.parse(stdout) as ShortPoolReport; // what the client prints
    assert.deepEqual(report, { bytes: 4_000_000, ended: 4, inUse: 0 });
  });
}

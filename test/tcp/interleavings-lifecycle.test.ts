/**
 * Shows: a socket outlives its receiver. After STARTTLS no byte is taken from the TLS socket on top; after 'close' it is an ordinary
 * socket again, that may be connected anew, listened to, and received from; and no order of pause() and resume() kills the event loop.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import tls from "node:tls";
import { Worker } from "node:worker_threads";
import { receive } from "../../src/tcp/index.ts";
import { poolFor, until } from "../support/at-rest.ts";
import { isPattern, pattern } from "../support/pattern.ts";
import { ENGINES, connect, listen } from "../support/sockets.ts";
import { noTls, pem, skipFor } from "../support/transports.ts";
import type { ResumeJob, ResumeReport } from "./resume-worker.ts";

const timeout = 30_000;
/** Longer than the receiver's sweep takes to find a socket quiet and take its page back: two intervals of 250 ms. */
const SWEEPS_MS = 600;

for (const engine of ENGINES) {
  for (const plainBytes of [100, 20_000]) {
    const name = `${engine}: after STARTTLS, ${plainBytes} plain bytes, everything is the TLS socket's, also after a sweep`;
    test(name, { skip: noTls, timeout }, async (t) => {
      const pool = poolFor(t);
      let plain = 0;
      const secure: Buffer[] = [];
      const secureBytes = (): number => secure.reduce((sum, { length }) => sum + length, 0);
      const port = await listen(t, (socket) => {
        const startTls = (): void => {
          const upper = new tls.TLSSocket(socket, { isServer: true, ...pem });
          upper.on("data", (chunk: Buffer) => secure.push(chunk));
          socket.write("GO");
        };
        receive(socket, { pool, engine }, (m) => {
          assert.ok(isPattern(m.bytes, plain));
          plain += m.length;
          if (plain === plainBytes) setImmediate(startTls);
        });
      });
      const lower = connect(t, port);
      lower.write(pattern(0, plainBytes));
      await once(lower, "data");
      const upper = tls.connect({ socket: lower, rejectUnauthorized: false });
      for (let sent = 0; sent < 20_000; sent += 1000) {
        upper.write(pattern(sent, 1000));
        await delay(SWEEPS_MS / 20); // it is the sweep's timer that is waited for; it tells nobody
      }
      await until(
        () => secureBytes() === 20_000,
        () => `${secureBytes()} secure bytes`,
      );
      assert.ok(isPattern(Buffer.concat(secure), 0));
      assert.equal(plain, plainBytes);
      upper.destroy();
      lower.destroy();
    });
  }

  test(
    `${engine}: after 'close' it is an ordinary socket: connected anew it gives 'data', and it can be received from again`,
    { timeout },
    async (t) => {
      const LENGTH = 100_000;
      const pool = poolFor(t);
      const port = await listen(t, (peer) => void peer.end(pattern(0, LENGTH)));
      const socket = new net.Socket();
      t.after(() => socket.destroy());

      let received = 0;
      const first = receive(socket, { pool, engine }, (m) => {
        assert.ok(isPattern(m.bytes, received));
        received += m.length;
      });
      socket.connect(port, "127.0.0.1");
      await new Promise<void>((resolve) => {
        socket.once("close", () => {
          socket.connect(port, "127.0.0.1"); // in the listener itself, as one does
          resolve();
        });
      });
      assert.equal(received, LENGTH);

      const chunks: Buffer[] = [];
      const listener = (chunk: Buffer): void => void chunks.push(chunk);
      socket.on("data", listener);
      await once(socket, "close");
      socket.off("data", listener);
      assert.ok(isPattern(Buffer.concat(chunks), 0));
      assert.equal(Buffer.concat(chunks).length, LENGTH);
      assert.equal(received, LENGTH, "nothing for the first receiver");

      socket.connect(port, "127.0.0.1");
      let offset = 0;
      for await (const m of receive(socket, { pool, engine })) {
        assert.ok(isPattern(m.bytes, offset));
        offset += m.length;
      }
      assert.equal(offset, LENGTH);
      assert.equal(first.stats().bytesReceived, LENGTH);

      const other = receive(connect(t, port), { pool, engine }, () => {});
      assert.equal(other.stats().engine, engine, "the engine has not been given up");
    },
  );

  for (const transport of ["tcp", "tls"] as const) {
    for (const how of ["never", "at once", "in a microtask", "in a tick"] as const) {
      const name = `${engine}: ${transport.toUpperCase()}: pause() in a consumer that awaits, resume() ${how}: the event loop lives`;
      test(name, { skip: skipFor(transport), timeout }, async (t) => {
        const job: ResumeJob = { engine, transport, how };
        const worker = new Worker(new URL("./resume-worker.js", import.meta.url), { workerData: job });
        t.after(() => worker.terminate()); // stops a thread that runs in circles, too
        const answered = once(worker, "message", { signal: AbortSignal.timeout(timeout - 10_000) });
        const [report] = (await answered) as [ResumeReport];
        assert.deepEqual(report, { bytes: 300_000, inUse: 0 });
      });
    }
  }
}

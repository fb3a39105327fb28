/**
 * Shows: whatever the consumer does while it has an mbuf (settle late or at once, run the pool short, release what it holds, write),
 * bytes come in order, stay what they are, and 'end' comes last. With both engines; TLS above all, where a write may bring bytes.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import type net from "node:net";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { setImmediate as turn, setTimeout as delay } from "node:timers/promises";
import { receive } from "../../src/tcp/index.ts";
import type { Mbuf } from "../../src/tcp/index.ts";
import { poolFor } from "../support/at-rest.ts";
import { isPattern, pattern } from "../support/pattern.ts";
import { Random } from "../support/random.ts";
import { ENGINES } from "../support/sockets.ts";
import { connectOn, listenOn, noTls, skipFor } from "../support/transports.ts";
import type { Transport } from "../support/transports.ts";

const timeout = 30_000;
const SEEDS = Array.from({ length: 10 }, (_, index) => index + 1);

/**
 * Sends `lengthBytes` to a server socket that `arm` receives on; resolves when that has closed.
 * `sent`: the kernel has all bytes, and the end behind them.
 */
async function transfer(
  t: TestContext,
  transport: Transport,
  lengthBytes: number,
  arm: (near: net.Socket, sent: Promise<unknown>) => void,
): Promise<void> {
  let dialled: (far: net.Socket) => void = () => {};
  const far = new Promise<net.Socket>((resolve) => (dialled = resolve));
  const sent = far.then((socket) => once(socket, "finish"));
  const accepted = new Promise<net.Socket>((resolve) => {
    void listenOn(t, transport, (near) => {
      arm(near, sent);
      resolve(near);
    }).then((port) => dialled(connectOn(t, transport, port)));
  });
  (await far).resume().end(pattern(0, lengthBytes));
  const near = await accepted;
  if (!near.closed) await once(near, "close");
}

for (const engine of ENGINES) {
  const options = { skip: noTls, timeout };

  test(
    `${engine}: TLS: a consumer that settles now, soon or late, at random, gets all bytes in order`,
    options,
    async (t) => {
      const pool = poolFor(t, { pageSizeBytes: 4096, pagesMax: 64 });
      for (const seed of SEEDS) {
        const random = new Random(seed);
        let offset = 0;
        await transfer(t, "tls", 400_000, (near) => {
          receive(near, { pool, engine }, async (m) => {
            const start = offset;
            offset += m.length;
            assert.ok(isPattern(m.bytes, start), `seed ${seed}: at ${start}`);
            await random.pick([() => null, () => null, turn, turn, () => delay(1)])();
            assert.ok(isPattern(m.bytes, start), `seed ${seed}: at ${start}, when settled`);
          });
        });
        assert.equal(offset, 400_000, `seed ${seed}`);
      }
    },
  );

  test(
    `${engine}: TLS: a consumer that takes the last page for a moment gets all bytes in order`,
    options,
    async (t) => {
      const pool = poolFor(t, { pageSizeBytes: 4096, pagesMax: 2 });
      let offset = 0;
      await transfer(t, "tls", 1_000_000, (near) => {
        receive(near, { pool, engine }, (m) => {
          assert.ok(isPattern(m.bytes, offset), `at ${offset}`);
          offset += m.length;
          const scratch = pool.alloc();
          queueMicrotask(() => scratch?.release());
        });
      });
      assert.equal(offset, 1_000_000);
    },
  );

  test(
    `${engine}: TLS: a consumer that releases in the 'pause' listener gets all bytes in order`,
    options,
    async (t) => {
      const pool = poolFor(t, { pageSizeBytes: 4096, pagesMax: 16 });
      const held: { mbuf: Mbuf; start: number }[] = [];
      const releaseAll = (): void => {
        for (const { mbuf, start } of held.splice(0)) {
          assert.ok(isPattern(mbuf.bytes, start), `at ${start}, before release`);
          mbuf.release();
        }
      };
      let offset = 0;
      await transfer(t, "tls", 1_000_000, (near) => {
        near.on("pause", releaseAll);
        receive(near, { pool, engine }, async (m) => {
          assert.ok(isPattern(m.bytes, offset), `at ${offset}`);
          held.push({ mbuf: m.hold(), start: offset });
          offset += m.length;
          await turn();
          if (pool.isUnderPressure) releaseAll();
        });
      });
      releaseAll();
      assert.equal(offset, 1_000_000);
    },
  );

  for (const pageSizeBytes of [4096, 65_536] as const) {
    test(
      `${engine}: TLS: an empty write from the callback changes no byte, pages of ${pageSizeBytes}`,
      options,
      async (t) => {
        const pool = poolFor(t, { pageSizeBytes, pagesMax: 64 });
        let offset = 0;
        await transfer(t, "tls", 2_000_000, (near) => {
          receive(near, { pool, engine }, (m) => {
            const start = offset;
            offset += m.length;
            assert.ok(isPattern(m.bytes, start), `at ${start}`);
            near.write("");
            assert.ok(isPattern(m.bytes, start), `at ${start}, after the write`);
          });
        });
        assert.equal(offset, 2_000_000);
      },
    );

    test(
      `${engine}: TLS: an empty write a microtask later changes no held byte, pages of ${pageSizeBytes}`,
      options,
      async (t) => {
        const pool = poolFor(t, { pageSizeBytes, pagesMax: 64 });
        let offset = 0;
        await transfer(t, "tls", 2_000_000, (near) => {
          receive(near, { pool, engine }, (m) => {
            const start = offset;
            offset += m.length;
            assert.ok(isPattern(m.bytes, start), `at ${start}`);
            m.hold();
            queueMicrotask(() => {
              near.write("");
              assert.ok(isPattern(m.bytes, start), `at ${start}, after the write`);
              m.release();
            });
          });
        });
        assert.equal(offset, 2_000_000);
      },
    );
  }

  for (const transport of ["tcp", "tls"] as const) {
    for (const resumes of [false, true]) {
      const how = resumes ? "a consumer that calls resume() while it is at work" : "a slow consumer";
      const name = `${engine}: ${transport.toUpperCase()}: ${how} was given every byte before 'end'`;
      test(name, { skip: skipFor(transport), timeout }, async (t) => {
        const pool = poolFor(t, { pageSizeBytes: 4096, pagesMax: 64 });
        for (const lengthBytes of [1, 100, 4096, 5000, 8192, 12_000, 20_000]) {
          let given = 0;
          let atEnd: { given: number; queued: number } | null = null;
          await transfer(t, transport, lengthBytes, (near, sent) => {
            const receiver = receive(near, { pool, engine }, async (m) => {
              assert.ok(isPattern(m.bytes, given));
              given += m.length;
              await sent; // and the end with them
              for (let turns = 0; turns < 5; turns++) {
                await turn();
                if (resumes) near.resume();
              }
            });
            near.on("end", () => (atEnd = { given, queued: receiver.stats().bytesQueued }));
          });
          assert.deepEqual(atEnd, { given: lengthBytes, queued: 0 });
        }
      });
    }
  }
}

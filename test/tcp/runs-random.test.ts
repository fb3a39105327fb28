/**
 * Shows, with random pools, sockets and consumers: every byte arrives once, in order, and stays as it is while it is held, before `'end'`; all pages come
 * back, and every law of the pool holds. `JUMBO_SEEDS=1000` runs more of it.
 */
import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { setImmediate as turn, setTimeout as delay } from "node:timers/promises";
import { JumboPool } from "../../src/index.ts";
import { receive } from "../../src/tcp/index.ts";
import type { Mbuf, ReceiveOptions } from "../../src/tcp/index.ts";
import { until } from "../support/at-rest.ts";
import { isPattern, pattern } from "../support/pattern.ts";
import { Random } from "../support/random.ts";
import { socketPair } from "../support/sockets.ts";

const SEEDS = Number(process.env["JUMBO_SEEDS"] ?? 12);
const SOCKETS = 6;

type Kept = { readonly mbuf: Mbuf; readonly offset: number };

/** One connection's consumer: checks, keeps some mbufs for a while, and is sometimes slow. */
class Consumer {
  offset = 0;
  hasEnded = false;
  readonly #random: Random;
  readonly #kept: Kept[] = [];
  readonly #keptMax: number;

  constructor(seed: number, keptMax: number) {
    this.#random = new Random(seed);
    this.#keptMax = keptMax;
  }

  take(mbuf: Mbuf): void {
    assert(!this.hasEnded, "nothing comes after the end");
    assert(isPattern(mbuf.bytes, this.offset), `bytes at ${this.offset}`);
    if (this.#keptMax > 0 && this.#random.chance(0.5)) this.#kept.push({ mbuf: mbuf.hold(), offset: this.offset });
    this.offset += mbuf.length;
    if (this.#kept.length > this.#keptMax) this.letGo(this.#random.int(1, this.#kept.length));
  }

  letGo(count: number): void {
    for (const { mbuf, offset } of this.#kept.splice(this.#random.chance(0.7) ? 0 : -count, count)) {
      assert(isPattern(mbuf.bytes, offset), `held bytes at ${offset}`);
      mbuf.release();
    }
  }

  letGoAll(): void {
    this.letGo(this.#kept.length);
  }

  async pause(): Promise<void> {
    if (this.#random.chance(0.02)) await delay(1);
    else if (this.#random.chance(0.3)) await turn();
  }
}

type Kind = "sync" | "pausing" | "async" | "iterating";

function consume(socket: Socket, options: ReceiveOptions, consumer: Consumer, kind: Kind, random: Random): void {
  // Of an iteration the end is its own: the event comes a microtask before the last mbuf, which was handed out before it.
  if (kind !== "iterating") socket.on("end", () => (consumer.hasEnded = true));
  if (kind === "iterating") {
    const iterate = async (): Promise<void> => {
      for await (const mbuf of receive(socket, options)) {
        consumer.take(mbuf);
        await consumer.pause();
      }
      consumer.hasEnded = true;
    };
    iterate().catch(ignorePremature);
  } else if (kind === "async") {
    receive(socket, options, (mbuf) => {
      consumer.take(mbuf);
      return consumer.pause();
    });
  } else {
    receive(socket, options, (mbuf) => {
      consumer.take(mbuf);
      if (kind === "sync" || !random.chance(0.1)) return true;
      setImmediate(() => socket.resume());
      return false;
    });
  }
}

async function run(t: TestContext, seed: number): Promise<void> {
  const random = new Random(seed);
  const pagesMax = random.pick([8, 24, 100, 600, 4096]);
  const pool = new JumboPool({
    pageSizeBytes: random.pick([4096, 16_384, 65_536]),
    pagesMax: Math.min(pagesMax, 1024),
    idleTrimMs: random.pick([0, 20]),
  });
  const keptMax = Math.floor(pool.pagesMax / SOCKETS / 3); // beyond that the sockets rightly wait for pages for ever
  const consumers: Consumer[] = [];
  await Promise.all(
    Array.from({ length: SOCKETS }, async (_, index) => {
      const bytes = random.int(1, 4_000_000);
      const consumer = new Consumer(seed * 100 + index, random.chance(0.7) ? keptMax : 0);
      consumers.push(consumer);
      const readPagesMax = random.chance(0.5) ? undefined : random.int(1, pool.pagesMax);
      const kind = random.pick<Kind>(["sync", "pausing", "async", "iterating"]);
      const { near, far } = await socketPair(t, (socket) =>
        consume(socket, { pool, readPagesMax }, consumer, kind, random),
      );
      const destroyedAt = random.chance(0.2) ? random.int(0, bytes) : Infinity;
      for (let at = 0; at < bytes && !near.destroyed;) {
        const length = Math.min(bytes - at, random.int(1, 300_000));
        far.write(pattern(at, length));
        at += length;
        if (random.chance(0.3)) await turn();
        if (at > destroyedAt) near.on("error", () => {}).destroy();
      }
      far.on("error", () => {}).end();
      const what = (): string =>
        `seed ${seed}, socket ${index}, ${kind}: ${consumer.offset} of ${bytes}; ${JSON.stringify(pool.stats())}`;
      if (destroyedAt === Infinity) await until(() => consumer.hasEnded && consumer.offset === bytes, what, 30_000);
      else await until(() => near.closed, what);
    }),
  );
  for (const consumer of consumers) consumer.letGoAll();
  await until(
    () => pool.stats().inUse === 0,
    () => `seed ${seed}: ${JSON.stringify(pool.stats())}`,
  );
  pool.verify();
  pool.close();
}

test("random pools, sockets and consumers", { timeout: SEEDS * 20_000 }, async (t) => {
  const first = Number(process.env["JUMBO_SEED"] ?? 1);
  for (let seed = first; seed < first + SEEDS; seed++) await t.test(`seed ${seed}`, (each) => run(each, seed));
});

/** What a loop over a socket that the test destroys is told. */
function ignorePremature(error: unknown): void {
  if ((error as NodeJS.ErrnoException).code !== "ERR_STREAM_PREMATURE_CLOSE") throw error;
}

/**
 * Shows: when a consumer holds every page, reading stops, nothing held is overwritten, nothing is lost, and after the
 * release everything arrives, fairly, for 1 and for 100 sockets; with both engines, and over TLS-sized reads.
 */
import assert from "node:assert/strict";
import type net from "node:net";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import type { JumboPool } from "../../src/index.ts";
import { receive } from "../../src/tcp/index.ts";
import type { Mbuf } from "../../src/tcp/index.ts";
import { poolFor, until } from "../support/at-rest.ts";
import { isPattern, pattern } from "../support/pattern.ts";
import { ENGINES, connect, listen } from "../support/sockets.ts";

type Held = { readonly mbuf: Mbuf; readonly offset: number };

/** What arrived on one socket: checked on arrival, and kept. */
class Holder {
  received = 0;
  held: Held[] = [];

  take(mbuf: Mbuf): void {
    assert.ok(isPattern(mbuf.bytes, this.received));
    this.held.push({ mbuf: mbuf.hold(), offset: this.received });
    this.received += mbuf.length;
  }

  /** Every byte held is still what arrived. */
  verify(): void {
    for (const { mbuf, offset } of this.held)
      assert.ok(isPattern(mbuf.bytes, offset), `held bytes at ${offset} are intact`);
  }

  release(): void {
    for (const { mbuf } of this.held.splice(0)) mbuf.release();
  }
}

/** Waits until nothing has arrived for a while: reading has stopped. */
async function quiet(holders: readonly Holder[]): Promise<void> {
  const total = (): number => holders.reduce((sum, holder) => sum + holder.received, 0);
  for (let before = -1; before !== total(); await delay(60)) before = total();
}

async function holders(
  t: Parameters<typeof listen>[0],
  count: number,
  bytes: number,
  arm: (near: net.Socket, holder: Holder) => void,
): Promise<Holder[]> {
  const all: Holder[] = [];
  const port = await listen(t, (socket) => {
    const holder = new Holder();
    all.push(holder);
    arm(socket, holder);
  });
  for (let i = 0; i < count; i++) connect(t, port).end(pattern(0, bytes));
  await until(() => all.length === count, "all connected");
  return all;
}

for (const engine of ENGINES) {
  for (const [sockets, bytes, options] of [
    [1, 8_000_000, { pagesMax: 64 }],
    [1, 6_000_000, { pagesMax: 4 }],
    [100, 1_000_000, { pagesMax: 256 }],
    [100, 200_000, { pageSizeBytes: 65_536, pagesMax: 32 }],
    [20, 100_000, { pagesMax: 1, stolenMax: 0 }],
  ] as const) {
    test(`${engine}: ${sockets} sockets, every page held, ${JSON.stringify(options)}`, async (t) => {
      const pool: JumboPool = poolFor(t, { ...options, audit: false });
      const all = await holders(
        t,
        sockets,
        bytes,
        (near, holder) => void receive(near, { pool, engine }, (m) => holder.take(m)),
      );
      let rounds = 0;
      const isDone = (): boolean => all.every((holder) => holder.received === bytes);
      await quiet(all);
      assert.ok(pool.isUnderPressure, "every page that receivers may take is held");
      assert.ok(!isDone(), "the senders are held back");
      while (!isDone()) {
        assert.ok(rounds++ < 5_000, `still not done: ${all.map((holder) => holder.received).join()}`);
        for (const holder of all) holder.verify();
        for (const holder of all) holder.release();
        if (rounds % 50 === 0 || rounds < 3) await quiet(all);
        else await delay(0);
      }
      for (const holder of all) {
        holder.verify();
        holder.release();
      }
      pool.verify();
    });
  }

  test(`${engine}: 40 sockets share a pool that holds a tenth of what they send: all come to their end`, async (t) => {
    const pool = poolFor(t, { pagesMax: 128, audit: false });
    const bytes = 400_000;
    const all = await holders(
      t,
      40,
      bytes,
      (near, holder) => void receive(near, { pool, engine }, (m) => holder.take(m)),
    );
    await quiet(all);
    const isDone = (): boolean => all.every((holder) => holder.received === bytes);
    for (let round = 0; !isDone(); round++) {
      assert.ok(round < 20_000, `still not done: ${all.map((holder) => holder.received).join()}`);
      for (const holder of all) holder.release();
      await delay(0);
    }
    for (const holder of all) holder.release();
  });
}

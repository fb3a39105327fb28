import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { JumboPool } from "../../src/index.ts";
import type { PoolOptions } from "../../src/index.ts";

/** Waits, a turn of the event loop at a time, until `holds` does; fails with `what` after `msMax`. */
export async function until(holds: () => boolean, what: string | (() => string), msMax = 10_000): Promise<void> {
  const end = performance.now() + msMax;
  while (!holds()) {
    if (performance.now() > end)
      assert.fail(`still not after ${msMax} ms: ${typeof what === "string" ? what : what()}`);
    await turn();
  }
}

/**
 * A pool for one test, with the presence check: after the test no page may be out and every law must hold.
 * Audit is on, so that a leak says where it was allocated.
 */
export function poolFor(t: TestContext, options: PoolOptions = {}): JumboPool {
  const pool = new JumboPool({ idleTrimMs: 0, audit: true, ...options });
  t.after(async () => {
    await until(
      () => pool.stats().inUse === 0,
      () => `${pool.stats().inUse} pages leaked: ${JSON.stringify(pool.holders(3), null, 1)}`,
      5_000,
    );
    pool.verify();
    assert.equal(pool.stats().poisonHits, 0, "nobody wrote to a page after its release");
    pool.close();
  });
  return pool;
}

import assert from "node:assert/strict";
import { JumboPool } from "../../src/index.ts";
import type { PoolOptions } from "../../src/index.ts";
import { attachControlBlock } from "../../src/memory/control-block.ts";
import type { ControlBlock } from "../../src/memory/control-block.ts";
import { MAGIC } from "../../src/memory/layout.ts";

/**
 * A pool together with its control block, which a pool shows to nobody: the shared memory made while the pool is made
 * is watched, and the piece that begins with the magic word is the block. For tests that break things.
 */
export function poolWithBlock(options: PoolOptions): { pool: JumboPool; block: ControlBlock } {
  const made: SharedArrayBuffer[] = [];
  const original = globalThis.SharedArrayBuffer;
  globalThis.SharedArrayBuffer = new Proxy(original, {
    construct: (target, [byteLength]: [number]): SharedArrayBuffer => {
      const memory = new target(byteLength);
      made.push(memory);
      return memory;
    },
  });
  try {
    const pool = new JumboPool(options);
    const memory = made.find((candidate) => new Int32Array(candidate)[0] === MAGIC);
    assert(memory !== undefined, "a pool makes its control block out of a SharedArrayBuffer");
    return { pool, block: attachControlBlock(memory) };
  } finally {
    globalThis.SharedArrayBuffer = original;
  }
}

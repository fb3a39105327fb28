/**
 * Shows that a chain is a Buffer in pieces: whatever is done to chains in whatever order, the same done to plain Buffers gives
 * the same bytes; mbufs and chains that share a storage never see each other's changes; each storage has as many holds as there
 * are mbufs and segments over it; nothing beside an mbuf is written to; cursors keep their places; and at the end every
 * storage, every page, was let go exactly once.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { PageFiller } from "../../src/mbuf/page-filler.ts";
import { poolFor } from "../support/at-rest.ts";
import { World, runSteps, sequences } from "./world.ts";

test("any sequence of operations does what it does to plain Buffers, and every storage is let go once", () => {
  let segmentsMost = 0;
  let roomMost = 0;
  fc.assert(
    fc.property(sequences(true), (steps) => {
      const { segments, room } = runSteps(new World(), steps);
      segmentsMost = Math.max(segments, segmentsMost);
      roomMost = Math.max(room, roomMost);
    }),
    { numRuns: 300 },
  );
  assert(segmentsMost > 8, "the runs made chains that are worth the name");
  assert(roomMost > 0, "the runs made headroom");
});

test("the same over pages that a receiver goes on filling, and every page is back after each run", (t) => {
  const pool = poolFor(t, { pageSizeBytes: 4096 });
  const filler = PageFiller.of(pool);
  let pagesMost = 0;
  const makeMbuf = (bytes: Buffer) => {
    const mbuf = filler.copy(bytes);
    const passing = filler.copy(Buffer.alloc(700)); // a neighbour that comes and goes
    assert(mbuf !== null && passing !== null, "there are pages");
    passing.release();
    pagesMost = Math.max(pagesMost, pool.stats().inUse);
    return mbuf;
  };
  fc.assert(
    fc.property(sequences(false), (steps) => {
      runSteps(new World(makeMbuf), steps);
      assert.equal(pool.stats().inUse, 0, "every page is back");
    }),
    { numRuns: 200 },
  );
  assert(pagesMost > 1, "the runs used pages");
});

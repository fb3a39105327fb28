/**
 * Shows: receivers that stopped for want of pages go on in the order in which they stopped, sixteen a turn or as many as there are pages for, and who runs into
 * pressure again stands at the end of the line; a pressure that nobody was told of leaves nobody waiting.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import type { JumboPool } from "../../src/index.ts";
import { PageGate } from "../../src/pool/page-gate.ts";
import type { Gated } from "../../src/pool/page-gate.ts";
import { poolFor } from "../support/at-rest.ts";

type Seen = { log: string[]; goOn: (number: number, receiver: Gated) => void };

/** Receivers that write down who stops and who goes on. */
function receivers(gate: PageGate, count: number): Seen {
  const seen: Seen = { log: [], goOn: () => {} };
  for (let number = 0; number < count; number++) {
    const receiver: Gated = {
      stopForPages: () => void seen.log.push(`stop ${number}`),
      goOn: () => {
        seen.log.push(`go ${number}`);
        seen.goOn(number, receiver);
      },
    };
    gate.enter(receiver);
  }
  return seen;
}

/** Takes every page; the function gives all of them back. */
function exhaust(t: TestContext): { pool: JumboPool; relieve: () => void } {
  const pool = poolFor(t, { pagesMax: 1024 });
  return { pool, relieve: takeAll(pool) };
}

function takeAll(pool: JumboPool): () => void {
  const pages: NonNullable<ReturnType<JumboPool["alloc"]>>[] = [];
  pool.allocMany(pages, pool.pagesMax);
  return () => {
    for (const page of pages.splice(0)) page.release();
  };
}

const numbers = (count: number): number[] => Array.from({ length: count }, (_, number) => number);

test("all stop under pressure, and go on in order, sixteen a turn where there are pages for so many", async (t) => {
  const pool = poolFor(t, { pagesMax: 1024 });
  const seen = receivers(PageGate.of(pool), 40);
  const relieve = takeAll(pool);
  await turn();
  assert.deepEqual(
    seen.log.splice(0),
    numbers(40).map((number) => `stop ${number}`),
  );
  relieve();
  await Promise.resolve();
  await Promise.resolve();
  const first = seen.log.length;
  assert.equal(first, 16, "at once");
  for (let i = 0; i < 4; i++) await turn();
  assert.deepEqual(
    seen.log,
    numbers(40).map((number) => `go ${number}`),
  );
});

/** Twenty that wait, of whom four go on, and then the pool is short again: what `onFourth` does. Who goes on after that must be `expected`. */
async function afterFour(
  t: TestContext,
  onFourth: (reading: readonly Gated[], gate: PageGate) => void,
  expected: readonly number[],
): Promise<void> {
  const { pool, relieve } = exhaust(t);
  const gate = PageGate.of(pool);
  const seen = receivers(gate, 20); // they enter under pressure: stopped at once
  assert.equal(seen.log.splice(0).length, 20);
  let again = (): void => {};
  const reading: Gated[] = [];
  seen.goOn = (number, receiver) => {
    reading.push(receiver);
    if (number !== 3) return;
    again = takeAll(pool); // the fourth takes all there is
    onFourth(reading, gate);
  };
  relieve();
  for (let i = 0; i < 4; i++) await turn();
  assert.deepEqual(
    seen.log.splice(0).filter((line) => line.startsWith("go")),
    ["go 0", "go 1", "go 2", "go 3"],
  );
  seen.goOn = (): void => {};
  again();
  for (let i = 0; i < 4; i++) await turn();
  assert.deepEqual(
    seen.log,
    expected.map((number) => `go ${number}`),
  );
}

test("who reads and runs into pressure again stands at the end of the line", (t) =>
  afterFour(
    t,
    (reading, gate) => {
      for (const each of reading) gate.wait(each); // all four have found nothing
    },
    [...numbers(20).slice(4), 0, 1, 2, 3],
  ));

test("who was let go and had no turn before the next pressure keeps its place", (t) =>
  afterFour(t, () => {}, numbers(20)));

test("a pressure that was over before anybody was told leaves nobody waiting", async (t) => {
  const { pool, relieve } = exhaust(t);
  const seen = receivers(PageGate.of(pool), 3);
  relieve(); // in the same turn: the pool tells nobody
  for (let i = 0; i < 3; i++) await turn();
  assert.deepEqual(seen.log, ["stop 0", "stop 1", "stop 2", "go 0", "go 1", "go 2"]);
});

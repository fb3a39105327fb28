/**
 * One way to get 4096 bytes, measured in a process of its own.
 *
 *     node --expose-gc dist/bench/alloc-candidate.js NAME PAGES_OUT ROUNDS ROUND_MS
 *
 * An operation is: get a buffer, write one byte, let it go. Rounds are sized by time in the warm-up. `ns` is the median round's and
 * `nsBest` the fastest's; on a machine that others use the truth is between them. `cpuNs` is all rounds' CPU time, the collector's
 * threads included.
 */
import process from "node:process";
import { setImmediate as turn } from "node:timers/promises";
import { JumboPool } from "../src/index.ts";
import type { Page } from "../src/index.ts";
import { median } from "./alternate.ts";
import { GcMeter, peakRssMb, printFigures } from "./figures.ts";

/** Does so many operations. */
type Loop = (count: number) => void;

const BYTES = 4096;
const PAGES_MAX = 1_048_576; // × 4096 = 4 GiB of address space: all that one arena can have
const CALIBRATION_OPERATIONS = 20_000;
const WARM_UP_ROUNDS = 5;

/** Each candidate's loop is a function of its own: no call that the others do not pay. */
const loops: Readonly<Record<string, (pagesOut: number) => Loop>> = {
  jumbo: jumboLoop,
  jumboKept: jumboKeptLoop,
  allocUnsafeSlow: () => (count) => {
    for (let i = 0; i < count; i++) Buffer.allocUnsafeSlow(BYTES)[0] = i;
  },
  alloc: () => (count) => {
    for (let i = 0; i < count; i++) Buffer.alloc(BYTES)[0] = i;
  },
  uint8array: () => (count) => {
    for (let i = 0; i < count; i++) new Uint8Array(BYTES)[0] = i;
  },
};

/** What V8 cannot see through: a handle that was here is a real object. */
let lastPage: Page | null = null;

/** The same with a handle that outlives the loop, as it does when it is queued or put into a structure. */
function jumboKeptLoop(): Loop {
  const pool = new JumboPool({ pageSizeBytes: BYTES });
  process.once("exit", () => {
    if (lastPage?.isReleased !== true) throw new Error("the last page was released");
    pool.close();
  });
  return (count) => {
    for (let i = 0; i < count; i++) {
      lastPage = pool.alloc();
      if (lastPage === null) throw new Error("the pool is empty");
      lastPage.bytes[0] = i;
      lastPage.release();
    }
  };
}

/**
 * With `pagesOut` pages held, untouched, for as long as the process lives. The handle does not leave the loop, and V8 may
 * do without making it: no scavenges in the row say that it did.
 */
function jumboLoop(pagesOut: number): Loop {
  const pool =
    pagesOut === 0
      ? new JumboPool({ pageSizeBytes: BYTES })
      : new JumboPool({ pageSizeBytes: BYTES, pagesMax: PAGES_MAX, stolenMax: 0, idleTrimMs: 0 });
  const held: Page[] = [];
  if (pool.allocMany(held, pagesOut) !== pagesOut) throw new Error(`the pool does not have ${pagesOut} pages`);
  process.once("exit", () => {
    for (const page of held) page.release();
    pool.close(); // throws when a page got lost
  });
  return (count) => {
    for (let i = 0; i < count; i++) {
      const page = pool.alloc();
      if (page === null) throw new Error("the pool is empty");
      page.bytes[0] = i;
      page.release();
    }
  };
}

function nsOf(loop: Loop, operations: number): number {
  const start = process.hrtime.bigint();
  loop(operations);
  return Number(process.hrtime.bigint() - start);
}

/** @returns the operations that make a round */
async function warmUp(loop: Loop, roundMs: number): Promise<number> {
  let operations = CALIBRATION_OPERATIONS;
  for (let round = 0; round < WARM_UP_ROUNDS; round++) {
    operations = Math.ceil((operations * roundMs * 1e6) / nsOf(loop, operations));
    await turn();
  }
  return operations;
}

async function measure(loop: Loop, rounds: number, roundMs: number): Promise<void> {
  const meter = new GcMeter();
  const operations = await warmUp(loop, roundMs);
  globalThis.gc?.();
  await meter.restart();
  const ns: number[] = [];
  const cpuBefore = process.cpuUsage();
  for (let round = 0; round < rounds; round++) {
    ns.push(nsOf(loop, operations) / operations);
    await turn();
  }
  const cpu = process.cpuUsage(cpuBefore);
  const gc = await meter.stop();
  const perMillion = 1e6 / (operations * rounds);
  printFigures({
    ns: median(ns),
    nsBest: Math.min(...ns),
    cpuNs: ((cpu.user + cpu.system) * 1000) / (operations * rounds),
    scavengesPerMillion: gc.scavenges * perMillion,
    scavengeMsPerMillion: gc.scavengeMs * perMillion,
    markCompactsPerMillion: gc.markCompacts * perMillion,
    markCompactMsPerMillion: gc.markCompactMs * perMillion,
    peakRssMb: peakRssMb(),
  });
}

const [name = "", pagesOut = "0", rounds = "45", roundMs = "20"] = process.argv.slice(2);
const loop = loops[name]?.(Number(pagesOut));
if (loop === undefined) throw new Error(`no candidate ${name}`);
await measure(loop, Number(rounds), Number(roundMs));

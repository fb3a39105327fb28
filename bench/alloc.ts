/**
 * What a buffer of 4096 bytes costs: jumbo beside Node's own ways and beside malloc; and jumbo with up to a million pages out.
 */
import process from "node:process";
import { alternate, runChild } from "./alternate.ts";
import type { Candidate } from "./alternate.ts";
import { compileC } from "./compile-c.ts";
import type { Figures } from "./figures.ts";
import { describeMachine, nodeMajor } from "./machine.ts";
import { medianOf, ratioTarget } from "./report.ts";
import type { Column, Report, Table, Target } from "./report.ts";
import { compiledFile } from "./repository.ts";
import type { BenchOptions } from "./run.ts";

const PAGES_OUT = [1, 1000, 100_000, 1_000_000];
const FULL = { rounds: 45, roundMs: 20 };
const QUICK = { rounds: 3, roundMs: 10 };
const NS_MAX = 25;
const NS_MAX_NODE20 = 30;
const TIMES_FASTER_MIN = 50;

/** Heading of the row, argument of the candidate's process. */
const WAYS: readonly (readonly [name: string, candidate: string])[] = [
  ["jumbo", "jumbo"],
  ["jumbo, handle kept", "jumboKept"],
  ["allocUnsafeSlow", "allocUnsafeSlow"],
  ["Buffer.alloc", "alloc"],
  ["new Uint8Array", "uint8array"],
];

const COLUMNS: readonly Column[] = [
  { figure: "ns", heading: "ns/op", digits: 1, hasRatio: true, panel: "nanoseconds per operation" },
  { figure: "nsBest", heading: "best", digits: 1 },
  { figure: "cpuNs", heading: "CPU ns/op", digits: 1 },
  { figure: "scavengesPerMillion", heading: "scavenges/M", digits: 2 },
  { figure: "scavengeMsPerMillion", heading: "ms/M", digits: 2, panel: "scavenges, ms per million operations" },
  { figure: "markCompactsPerMillion", heading: "mark-compacts/M", digits: 2 },
  { figure: "markCompactMsPerMillion", heading: "ms/M", digits: 2 },
  { figure: "peakRssMb", heading: "RSS MB", digits: 0, panel: "peak RSS, MB" },
];

export async function benchAlloc(options: BenchOptions): Promise<Report> {
  const remarks = ["/M is per million operations; mark-compact ms include incremental steps"];
  const { rounds, roundMs } = options.isQuick ? QUICK : FULL;
  const runNode = (candidate: string, pagesOut: number): Promise<Figures> => {
    const args = [candidate, pagesOut, rounds, roundMs].map(String);
    return runChild(process.execPath, ["--expose-gc", compiledFile("alloc-candidate.js"), ...args]);
  };

  const ways: Candidate[] = WAYS.map(([name, candidate]) => ({ name, measure: () => runNode(candidate, 0) }));
  const compiled = compileC("malloc-free");
  if (compiled.program === null) remarks.push(`C malloc+free is left out: ${compiled.reason}`);
  else ways.push({ name: "C malloc+free", measure: () => runChild(compiled.program, [`${rounds}`, `${roundMs}`]) });
  const outs: Candidate[] = PAGES_OUT.map((pagesOut) => ({
    name: `jumbo, ${pagesOut.toLocaleString("en-US")} out`,
    measure: () => runNode("jumbo", pagesOut),
  }));

  const table: Table = {
    title: "4096 bytes: get, write one byte, let go",
    baseline: "allocUnsafeSlow",
    columns: COLUMNS,
    rows: await alternate(ways, options.runCount, "alloc"),
  };
  const outTable: Table = {
    title: "The same from jumbo, with so many pages out",
    baseline: outs[0]?.name ?? null,
    columns: COLUMNS,
    rows: await alternate(outs, options.runCount, "alloc, pages out"),
  };
  return {
    name: "alloc",
    title: "jumbo alloc: a page-sized buffer",
    machine: describeMachine(),
    runCount: options.runCount,
    isQuick: options.isQuick,
    tables: [table, outTable],
    targets: targetsOf(table),
    remarks,
  };
}

function targetsOf(table: Table): Target[] {
  const ns = medianOf(table, "jumbo", "ns");
  const nsMax = nodeMajor() < 22 ? NS_MAX_NODE20 : NS_MAX;
  return [
    {
      text: `alloc + write + release in at most ${nsMax} ns`,
      measured: ns === undefined ? "not measured" : `${ns.toFixed(1)} ns`,
      isMet: ns === undefined ? null : ns <= nsMax,
    },
    ratioTarget(
      `at least ${TIMES_FASTER_MIN}x faster than allocUnsafeSlow`,
      medianOf(table, "allocUnsafeSlow", "ns"),
      ns,
      (ratio) => ratio >= TIMES_FASTER_MIN,
    ),
  ];
}

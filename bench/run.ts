/**
 * `npm run bench -- [alloc] [tcp] [udp] [delivery]`: jumbo beside what a user has today.
 *
 *     bench ──▶ candidates, each run in processes of its own, in turn ──▶ medians ──▶ table, JSON, SVG
 *
 *     --runs N     alternating runs to take medians of (5)
 *     --quick      small loads, one run: shows that the bench works, not what jumbo does
 *     --out DIR    where JSON and SVG go (bench/results)
 *
 * Exits 0 also when a target is missed: benches do not gate.
 */
import path from "node:path";
import { parseArgs } from "node:util";
import { benchAlloc } from "./alloc.ts";
import { benchDelivery } from "./delivery.ts";
import { describeMachine, machineLine } from "./machine.ts";
import { printReport, writeReport } from "./report.ts";
import type { Report } from "./report.ts";
import { repositoryRoot } from "./repository.ts";
import { benchTcp } from "./tcp.ts";
import { benchUdp } from "./udp.ts";

export type BenchOptions = { readonly runCount: number; readonly isQuick: boolean };

const BENCHES: Readonly<Record<string, (options: BenchOptions) => Promise<Report>>> = {
  alloc: benchAlloc,
  tcp: benchTcp,
  udp: benchUdp,
  delivery: benchDelivery,
};
const RUNS = 5;
const RUNS_MAX = 101;

/** @throws Error naming what is wrong with the arguments */
function readArguments(): { readonly names: string[]; readonly options: BenchOptions; readonly folder: string } {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { runs: { type: "string" }, quick: { type: "boolean", default: false }, out: { type: "string" } },
  });
  const runCount = Number(values.runs ?? (values.quick ? 1 : RUNS));
  if (!Number.isInteger(runCount) || runCount < 1 || runCount > RUNS_MAX) {
    throw new Error(`--runs must be a whole number from 1 to ${RUNS_MAX}, not ${values.runs}`);
  }
  const known = Object.keys(BENCHES);
  const unknown = positionals.filter((name) => !known.includes(name));
  if (unknown.length > 0) throw new Error(`no bench ${unknown.join(", ")}; there are ${known.join(", ")}`);
  return {
    names: positionals.length === 0 ? known : positionals,
    options: { runCount, isQuick: values.quick },
    folder: values.out ?? path.join(repositoryRoot, "bench", "results"),
  };
}

const { names, options, folder } = readArguments();
console.log(`${machineLine(describeMachine())}\nmedians of ${options.runCount} alternating runs\n`);
for (const name of names) {
  const report = await BENCHES[name]?.(options);
  if (report === undefined) continue;
  printReport(report);
  writeReport(report, folder);
}

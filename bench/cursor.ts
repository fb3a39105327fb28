/**
 * What reading a field costs: a cursor on a chain beside Buffer's and DataView's methods on the same bytes in one piece, and beside `bl`.
 */
import process from "node:process";
import { alternate, runChild } from "./alternate.ts";
import type { Candidate } from "./alternate.ts";
import { medianOf, ratioTarget } from "./report.ts";
import type { Column, Table, Target } from "./report.ts";
import { compiledFile } from "./repository.ts";
import type { BenchOptions } from "./run.ts";

const FULL = { rounds: 45, roundMs: 20 };
const QUICK = { rounds: 3, roundMs: 10 };
const BUFFER_RATIO_MAX = 1.5;
const BL_TIMES_MIN = 3;
const BASELINE = "Buffer, in one piece";

/** Heading of the row, candidate, bytes of a segment (0: all in one). */
const WAYS: readonly (readonly [name: string, candidate: string, segmentBytes: number])[] = [
  [BASELINE, "buffer", 0],
  ["DataView, in one piece", "dataView", 0],
  ["jumbo, one segment", "jumbo", 0],
  ["jumbo, segments of 4096", "jumbo", 4096],
  ["jumbo, of 1400", "jumbo", 1400],
  ["jumbo, of 64", "jumbo", 64],
  ["jumbo, of 64, chain made too", "jumboMade", 64],
  ["bl, buffers of 4096", "bl", 4096],
  ["bl, of 1400", "bl", 1400],
  ["bl, of 64", "bl", 64],
];

const COLUMNS: readonly Column[] = [
  { figure: "ns", heading: "ns/field", digits: 1, hasRatio: true, panel: "nanoseconds per field" },
  { figure: "nsBest", heading: "best", digits: 1 },
  { figure: "cpuNs", heading: "CPU ns/field", digits: 1 },
  { figure: "scavengeMsPerMillion", heading: "scavenges ms/M", digits: 2 },
];

export async function cursorTable({ runCount, isQuick }: BenchOptions): Promise<Table> {
  const { rounds, roundMs } = isQuick ? QUICK : FULL;
  const candidates: Candidate[] = WAYS.map(([name, candidate, segmentBytes]) => ({
    name,
    measure: () => {
      const args = [candidate, segmentBytes, rounds, roundMs].map(String);
      return runChild(process.execPath, ["--expose-gc", compiledFile("cursor-candidate.js"), ...args]);
    },
  }));
  return {
    title: "Records of seven fields, 1 to 8 bytes each, read from 64 KiB",
    baseline: BASELINE,
    columns: COLUMNS,
    rows: await alternate(candidates, runCount, "cursor"),
  };
}

/** bl has its list made in each pass, because it is consumed; so the chain is made, too, where both are compared. */
export function cursorTargets(table: Table): Target[] {
  const ns = (name: string): number | undefined => medianOf(table, name, "ns");
  const besideBuffer = ["jumbo, segments of 4096", "jumbo, of 1400", "jumbo, of 64"].map((name) =>
    ratioTarget(
      `${name}: at most ${BUFFER_RATIO_MAX}x of ${BASELINE}`,
      ns(name),
      ns(BASELINE),
      (ratio) => ratio <= BUFFER_RATIO_MAX,
    ),
  );
  const besideBl = ratioTarget(
    `across borders, chain made too: at least ${BL_TIMES_MIN}x faster than bl`,
    ns("bl, of 64"),
    ns("jumbo, of 64, chain made too"),
    (ratio) => ratio >= BL_TIMES_MIN,
  );
  return [...besideBuffer, besideBl];
}

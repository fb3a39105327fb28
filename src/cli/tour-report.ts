import { countOf, formatCount, formatMemory, formatRate, formatSeconds } from "./quantities.ts";
import { TOUR_BYTES, TOUR_SHA256 } from "./tour-content.ts";
import type { TourResult } from "./tour-receiver.ts";
import { describeRight, describeTable, describeWrong, styled } from "./tour-table.ts";
import type { Row } from "./tour-table.ts";

const ROWS: readonly Row<TourResult>[] = [
  ["time", ({ seconds }) => formatSeconds(seconds)],
  ["throughput", ({ bytes, seconds }) => formatRate(bytes, seconds)],
  ["processor time", ({ cpu }) => formatSeconds(cpu.userSeconds + cpu.systemSeconds)],
  ["  of it SHA-256", ({ hashSeconds }) => formatSeconds(hashSeconds)],
  [
    "  of it receiving",
    ({ cpu, hashSeconds }) => formatSeconds(Math.max(0, cpu.userSeconds + cpu.systemSeconds - hashSeconds)),
  ],
  ["garbage collection", ({ gc }) => `${gc.count} x, ${gc.milliseconds.toFixed(1)} ms`],
  ["most memory resident", ({ rssMaxBytes }) => formatMemory(rssMaxBytes)],
  ["reads", ({ reads }) => formatCount(reads)],
  ["SHA-256", (result) => (isDigestRight(result) ? "right" : "WRONG")],
];

/** The digest is the known one, and no page is out. */
export function isRight(result: TourResult): boolean {
  return isDigestRight(result) && (result.pool === null || result.pool.inUse === 0);
}

function isDigestRight({ bytes, digest }: TourResult): boolean {
  return bytes === TOUR_BYTES && digest === TOUR_SHA256;
}

export function describeComparison(jumbo: TourResult, net: TourResult): string {
  return describeTable([`jumbo, ${jumbo.engine}`, `net, ${net.engine}`], ROWS, jumbo, net);
}

/** Where every page is, and how often each path was taken. */
export function describePool({ pool }: TourResult): string {
  if (pool === null) return "";
  const { pageSizeBytes, pagesMax, grown, taken, returned, inUse, inUsePeak, refused, pressures, free } = pool;
  const counters: readonly (readonly [string, number])[] = [
    ["taken", taken],
    ["returned", returned],
    ["in use", inUse],
    ["in use at most", inUsePeak],
    ["grown", grown],
    ["free", free],
    ["refused", refused],
    ["pressures", pressures],
  ];
  return [
    `  ${styled("bold", "the pool")}  ${countOf(pagesMax, "page")} of ${formatMemory(pageSizeBytes)} at most`,
    ...pairs(counters.map(([name, count]) => `${name.padEnd(16)}${formatCount(count).padStart(8)}`)),
  ].join("\n");
}

/** Two to a line. */
function pairs(cells: readonly string[]): string[] {
  const lines: string[] = [];
  for (let i = 0; i < cells.length; i += 2) lines.push(`  ${cells[i] ?? ""}      ${cells[i + 1] ?? ""}`);
  return lines;
}

export function describeVerdict(jumbo: TourResult, net: TourResult): string {
  if (isRight(jumbo) && isRight(net)) {
    return describeRight(
      `every byte arrived in its place, and every page is back: sha256 ${TOUR_SHA256.slice(0, 16)}…`,
    );
  }
  const wrong = [jumbo, net].find((result) => !isDigestRight(result));
  return describeWrong(
    wrong === undefined
      ? `${countOf(jumbo.pool?.inUse ?? 0, "page")} not back`
      : `${wrong.engine} received ${formatCount(wrong.bytes)} bytes with sha256 ${wrong.digest}, and not ${TOUR_SHA256}`,
  );
}

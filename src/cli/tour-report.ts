import { styleText } from "node:util";
import { countOf, formatCount, formatMemory, formatRate, formatSeconds } from "./quantities.ts";
import { TOUR_BYTES, TOUR_SHA256 } from "./tour-content.ts";
import type { TourResult } from "./tour-receiver.ts";

type Style = Parameters<typeof styleText>[0];
type Row = readonly [what: string, show: (result: TourResult) => string];

const LABEL_WIDTH = 26;
const COLUMN_WIDTH = 18;

const ROWS: readonly Row[] = [
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
  const head = line("", `jumbo, ${jumbo.engine}`, `net, ${net.engine}`);
  return [styled("bold", head), ...ROWS.map(([what, show]) => line(what, show(jumbo), show(net)))].join("\n");
}

function line(what: string, ours: string, theirs: string): string {
  return `  ${what.padEnd(LABEL_WIDTH)}${ours.padStart(COLUMN_WIDTH)}${theirs.padStart(COLUMN_WIDTH)}`;
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
    return `  ${styled("green", "right")}  every byte arrived in its place, and every page is back: sha256 ${TOUR_SHA256.slice(0, 16)}…`;
  }
  const wrong = [jumbo, net].find((result) => !isDigestRight(result));
  const reason =
    wrong === undefined
      ? `${countOf(jumbo.pool?.inUse ?? 0, "page")} not back`
      : `${wrong.engine} received ${formatCount(wrong.bytes)} bytes with sha256 ${wrong.digest}, and not ${TOUR_SHA256}`;
  return `  ${styled("red", "WRONG")}  ${reason}; please report it`;
}

export function describeNext(): string {
  const command = process.env["npm_lifecycle_event"] === "start" ? "npm start --" : "jumbo";
  return [
    `  ${styled("bold", "next")}`,
    `  ${command} recv tcp://127.0.0.1:9000 -o out.bin      receive a file, and from another terminal send one:`,
    `  socat -u FILE:big.bin TCP:127.0.0.1:9000`,
    `  ${command} recv --help                               TLS, Unix sockets, folders, JSON`,
  ].join("\n");
}

/** Plain on a pipe, and for those who ask for it. */
function styled(style: Style, text: string): string {
  return process.stdout.isTTY && process.env["NO_COLOR"] === undefined ? styleText(style, text) : text;
}

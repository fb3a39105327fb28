import type { JumboPool, PoolStats } from "../index.ts";
import type { Cost } from "./meter.ts";
import type { Output } from "./output.ts";
import { countOf, formatBytes, formatCount, formatMemory, formatRate, formatSeconds } from "./quantities.ts";
import { kindsOf } from "./schemes.ts";
import type { EndedBy, Session, Totals } from "./session.ts";
import { VERSION } from "./version.ts";

/** What `--json` prints: one object. Keys are only ever added. */
export type Report = Totals &
  Cost & {
    readonly version: string;
    readonly node: string;
    readonly urls: readonly string[];
    readonly endedBy: EndedBy | null;
    readonly exitCode: number;
    /** As given to `-o`; null without. */
    readonly output: string | null;
    readonly files: number;
    readonly bytesWritten: number;
    readonly bytesPerSecond: number;
    readonly pool: PoolStats;
  };

export function reportOf(
  session: Session,
  urls: readonly string[],
  output: Output,
  pool: JumboPool,
  cost: Cost,
): Report {
  const totals = session.totals();
  return {
    version: VERSION,
    node: process.version,
    urls,
    endedBy: session.endedBy,
    exitCode: session.exitCode,
    ...totals,
    bytesPerSecond: totals.seconds > 0 ? Math.round(totals.bytes / totals.seconds) : 0,
    output: output.name,
    files: output.fileCount,
    bytesWritten: output.writtenBytes,
    pool: pool.stats(),
    ...cost,
  };
}

/** The same for people, a few lines. */
export function describeReport(report: Report): string {
  const { bytes, seconds, cpu, gc, engine, engineReason } = report;
  const why = engineReason === null ? "" : ` (${engineReason})`;
  const errors = report.errors === 0 ? "" : `, ${countOf(report.errors, "error")}`;
  const lines = [
    `received ${formatBytes(bytes)} (${formatCount(bytes)} bytes) ${describeSources(report)}${errors}` +
      (seconds > 0 ? ` in ${formatSeconds(seconds)}: ${formatRate(bytes, seconds)}` : ""),
    kindsOf(report.urls).hasDatagrams ? describeDatagrams(report) : null,
    describeOutput(report),
    `engine ${engine}${why}, ${countOf(report.reads, "read")}, ${countOf(report.pauses, "pause")}; ${describePool(report.pool)}`,
    `cpu ${formatSeconds(cpu.userSeconds)} user, ${formatSeconds(cpu.systemSeconds)} system; ` +
      `gc ${countOf(gc.count, "time")}, ${gc.milliseconds.toFixed(1)} ms; ${formatMemory(report.rssMaxBytes)} resident at most`,
  ];
  return lines.filter((line) => line !== null).join("\n");
}

/** `from 1 connection`, `as 2 datagrams`, or both. */
function describeSources({ urls, connections, datagrams }: Report): string {
  const { hasConnections, hasDatagrams } = kindsOf(urls);
  const sources = [
    ...(hasConnections ? [`from ${countOf(connections, "connection")}`] : []),
    ...(hasDatagrams ? [`as ${countOf(datagrams, "datagram")}`] : []),
  ];
  return sources.join(" and ");
}

function describeDatagrams({ batches, truncated, kernelDrops, datagramsDropped, gro }: Report): string {
  const why = gro.reason === null ? "" : ` (${gro.reason})`;
  return (
    `in ${countOf(batches, "batch", "batches")}, ${formatCount(truncated)} truncated; ` +
    `${formatCount(kernelDrops)} dropped by the kernel, ${formatCount(datagramsDropped)} by us; ` +
    `gro ${gro.isOn ? `on, ${countOf(gro.superDatagrams, "super-datagram")}` : `off${why}`}`
  );
}

function describeOutput({ output, files, bytesWritten, bytes, bytesFraming }: Report): string | null {
  if (output === null) return "nothing was kept: -o FILE writes it";
  const place = output === "-" ? "standard output" : output;
  const missing = bytes + bytesFraming - bytesWritten;
  return (
    `wrote ${formatCount(bytesWritten)} bytes to ${place}${output.endsWith("/") ? `, ${countOf(files, "file")}` : ""}` +
    (missing > 0 ? `; ${formatCount(missing)} received bytes are not written` : "")
  );
}

function describePool({ pageSizeBytes, pagesMax, inUsePeak, inUse }: PoolStats): string {
  const rest = inUse === 0 ? "all are back" : `${formatCount(inUse)} ARE NOT BACK, please report it`;
  return `${formatMemory(pageSizeBytes)} pages: ${formatCount(inUsePeak)} of ${formatCount(pagesMax)} in use at most, ${rest}`;
}

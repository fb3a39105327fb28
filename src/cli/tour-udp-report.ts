import { countOf, formatCount, formatMemory, formatSeconds } from "./quantities.ts";
import { TOUR_CRC_SUM, TOUR_DATAGRAMS } from "./tour-datagrams.ts";
import { describeRight, describeTable, describeWrong } from "./tour-table.ts";
import type { Row } from "./tour-table.ts";
import type { UdpTourResult } from "./tour-udp-receiver.ts";

const ROWS: readonly Row<UdpTourResult>[] = [
  ["received", ({ received }) => formatCount(received)],
  ["lost", (result) => formatCount(lostOf(result))],
  ["dropped by the kernel", ({ kernelDrops }) => (kernelDrops === null ? "not known" : formatCount(kernelDrops))],
  ["time", ({ seconds }) => formatSeconds(seconds)],
  ["datagrams a second", ({ received, seconds }) => formatCount(seconds > 0 ? Math.round(received / seconds) : 0)],
  ["processor time", (result) => formatSeconds(cpuOf(result))],
  ["  of it CRC-32, about", ({ crcSeconds }) => formatSeconds(crcSeconds)],
  ["  of it receiving, about", (result) => formatSeconds(Math.max(0, cpuOf(result) - result.crcSeconds))],
  ["garbage collection", ({ gc }) => `${gc.count} x, ${gc.milliseconds.toFixed(1)} ms`],
  ["most memory resident", ({ rssMaxBytes }) => formatMemory(rssMaxBytes)],
  ["reads", ({ reads }) => formatCount(reads)],
  ["CRC-32, summed up", (result) => (isContentRight(result) ? "right" : "WRONG")],
];

function lostOf({ received }: UdpTourResult): number {
  return TOUR_DATAGRAMS - received;
}

function cpuOf({ cpu }: UdpTourResult): number {
  return cpu.userSeconds + cpu.systemSeconds;
}

function isContentRight({ isContentRight, wrong }: UdpTourResult): boolean {
  return isContentRight && wrong === 0;
}

/** What came is what was sent, and no page is out. That something is lost is not wrong: UDP may. */
export function isUdpRight(result: UdpTourResult): boolean {
  return isContentRight(result) && (result.pool === null || result.pool.inUse === 0);
}

export function describeUdpComparison(jumbo: UdpTourResult, dgram: UdpTourResult): string {
  const table = describeTable([`jumbo, ${jumbo.engine}`, `dgram, ${dgram.engine}`], ROWS, jumbo, dgram);
  return jumbo.engineReason === null
    ? table
    : `${table}\n  jumbo receives through node:dgram here: ${jumbo.engineReason}`;
}

export function describeUdpVerdict(jumbo: UdpTourResult, dgram: UdpTourResult): string {
  const wrong = [jumbo, dgram].find((result) => !isContentRight(result));
  if (wrong !== undefined) {
    return describeWrong(
      `through ${wrong.engine} came ${countOf(wrong.received, "datagram")}, and ${formatCount(wrong.wrong)} that nobody had sent so`,
    );
  }
  if (!isUdpRight(jumbo)) return describeWrong(`${countOf(jumbo.pool?.inUse ?? 0, "page")} not back`);
  const lost = lostOf(jumbo) + lostOf(dgram);
  if (lost > 0)
    return describeRight(`every datagram that arrived is as it was sent; ${formatCount(lost)} were lost, as UDP may`);
  return describeRight(
    `every datagram arrived once, as it was sent, and every page is back: CRC-32s add up to ${TOUR_CRC_SUM}`,
  );
}

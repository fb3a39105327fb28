import { availableParallelism } from "node:os";
import { countOf, formatBytes, formatCount, formatMemory } from "./quantities.ts";
import { Terminal } from "./terminal.ts";
import { TOUR_BYTES } from "./tour-content.ts";
import { TOUR_DATAGRAMS, TOUR_DATAGRAM_BYTES } from "./tour-datagrams.ts";
import type { TourResult, TourWay } from "./tour-receiver.ts";
import { describeComparison, describePool, describeVerdict, isRight } from "./tour-report.ts";
import { runTransfer } from "./tour-run.ts";
import type { TourRun } from "./tour-run.ts";
import { describeNext } from "./tour-table.ts";
import type { UdpTourResult, UdpTourWay } from "./tour-udp-receiver.ts";
import { describeUdpComparison, describeUdpVerdict, isUdpRight } from "./tour-udp-report.ts";
import { VERSION } from "./version.ts";

/**
 * `jumbo` without a command: one GiB over TCP, received with jumbo and then with plain `net`; then a million datagrams, with jumbo and
 * then with plain `dgram`; each in a process of its own, so that none pays for another. Resolves with 0 when all is right.
 */
export async function tour(): Promise<number> {
  process.stdout.on("error", () => {}); // a reader that has seen enough
  const terminal = new Terminal(true);
  print(`jumbo ${VERSION}, Node ${process.version}, ${availableParallelism()} processors`);
  const isStreamRight = await tourTcp(terminal);
  const areDatagramsRight = await tourUdp(terminal);
  print(`\n${describeNext()}`);
  return isStreamRight && areDatagramsRight ? 0 : 1;
}

async function tourTcp(terminal: Terminal): Promise<boolean> {
  print(
    `\n${formatMemory(TOUR_BYTES)} over loopback TCP, its SHA-256 taken as it arrives. The sender, jumbo and plain net are a process each.\n`,
  );
  const jumbo = await runTransfer<TourResult>(tcpRun("jumbo"), terminal);
  const net = await runTransfer<TourResult>(tcpRun("net"), terminal);
  print(describeComparison(jumbo, net));
  print(`\n${describePool(jumbo)}`);
  print(`\n${describeVerdict(jumbo, net)}`);
  return isRight(jumbo) && isRight(net);
}

async function tourUdp(terminal: Terminal): Promise<boolean> {
  print(
    `\n${countOf(TOUR_DATAGRAMS, "datagram")} of ${formatCount(TOUR_DATAGRAM_BYTES)} bytes over loopback UDP, each numbered, its CRC-32 taken as it arrives. ` +
      "The sender keeps to the\nreceiver's pace, so that none is lost for want of room, and has the kernel cut many from one piece (GSO) where it can.\n",
  );
  const jumbo = await runTransfer<UdpTourResult>(udpRun("jumbo"), terminal);
  const dgram = await runTransfer<UdpTourResult>(udpRun("dgram"), terminal);
  print(describeUdpComparison(jumbo, dgram));
  print(`\n${describeUdpVerdict(jumbo, dgram)}`);
  return isUdpRight(jumbo) && isUdpRight(dgram);
}

function tcpRun(way: TourWay): TourRun {
  return { receiver: "tour-receiver", way, sender: "tour-sender", total: TOUR_BYTES, describeProgress: formatBytes };
}

function udpRun(way: UdpTourWay): TourRun {
  return {
    receiver: "tour-udp-receiver",
    way,
    sender: "tour-udp-sender",
    total: TOUR_DATAGRAMS,
    describeProgress: (done) => countOf(done, "datagram"),
  };
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** The counting half of the UDP soak: phases of numbered datagrams with checksums, of which every single one is accounted for. */
import { fork } from "node:child_process";
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { JumboPool } from "../../src/index.ts";
import { bindUdp } from "../../src/udp/index.ts";
import type { UdpReceiver, UdpStats } from "../../src/udp/index.ts";
import { drained } from "../peers/drained.ts";
import { RssWatch, rssMegabytes } from "./rss-watch.ts";
import type { RssRange } from "./rss-watch.ts";
import { Arrivals } from "./udp-arrivals.ts";
import { PHASES } from "./udp-count-phase.ts";
import type { Phase, SendOrder, SendReport } from "./udp-count-phase.ts";

const PAGE_BYTES = 65_536;
const PAGES_MAX = 512;
const SEGMENTS_MAX = 64;
const BUFFER_BYTES = 4 << 20;
/** What Linux gives by default. */
const SLOW_BUFFER_BYTES = 212_992;
const SLOW_EVERY = 100;
const SLOW_MS = 20;

export type PhaseReport = {
  readonly phase: string;
  readonly style: string;
  readonly seconds: number;
  readonly sent: SendReport;
  readonly received: number;
  readonly kernelDrops: number;
  /** Numbers that never came. */
  readonly gaps: number;
  readonly messages: number;
  readonly superDatagrams: number;
  readonly reads: number;
  readonly duplicates: number;
  readonly overtaken: number;
  readonly heldChecked: number;
  readonly megabytes: number;
  /** Of this process; its memory when the phase is over. */
  readonly cpuSeconds: number;
  readonly rssMegabytes: number;
  readonly kiloDatagramsPerSecond: number;
  readonly problems: readonly string[];
};

export type CountReport = {
  readonly datagrams: number;
  readonly received: number;
  readonly kernelDrops: number;
  readonly gaps: number;
  readonly rssMegabytes: RssRange;
  readonly pagesInUse: number;
  readonly phases: readonly PhaseReport[];
  readonly problems: readonly string[];
};

/** Sends and receives about `datagrams` datagrams. `say` is told of each phase. */
export async function count(datagrams: number, seed: number, say: (text: string) => void): Promise<CountReport> {
  const pool = new JumboPool({ pageSizeBytes: PAGE_BYTES, pagesMax: PAGES_MAX, stolenMax: 0 });
  const rss = new RssWatch();
  const phases: PhaseReport[] = [];
  for (const [index, phase] of PHASES.entries()) {
    const phaseSeed = (seed * PHASES.length + index) >>> 0;
    const report = await runPhase(pool, phase, phaseSeed, Math.round(datagrams * phase.share));
    phases.push(report);
    say(`${phase.name}: ${JSON.stringify(report)}`);
  }
  const pagesInUse = pool.stats().inUse;
  pool.verify();
  pool.close({ force: pagesInUse > 0 });
  const sum = (of: (phase: PhaseReport) => number): number => phases.reduce((total, phase) => total + of(phase), 0);
  return {
    datagrams: sum(({ sent }) => sent.datagrams),
    received: sum(({ received }) => received),
    kernelDrops: sum(({ kernelDrops }) => kernelDrops),
    gaps: sum(({ gaps }) => gaps),
    rssMegabytes: rss.end(),
    pagesInUse,
    phases,
    problems: [
      ...phases.flatMap(({ phase, problems }) => problems.map((problem) => `${phase}: ${problem}`)),
      ...(pagesInUse === 0 ? [] : [`${pagesInUse} pages are in use`]),
    ],
  };
}

async function runPhase(pool: JumboPool, phase: Phase, seed: number, datagrams: number): Promise<PhaseReport> {
  const arrivals = new Arrivals(seed, phase.isGso);
  const receiver = await open(pool, phase, arrivals);
  const { port } = receiver.address();
  const order: SendOrder = { ...phase, phaseId: seed, seed, port, datagrams };
  const started = performance.now();
  const startedCpu = process.cpuUsage();
  const child = fork(new URL("udp-count-sender.js", import.meta.url), [JSON.stringify(order)]);
  const [sent] = (await Promise.race([once(child, "message"), failed(child)])) as [SendReport];
  await drained(port);
  const seconds = (performance.now() - started) / 1000;
  const { user, system } = process.cpuUsage(startedCpu);
  arrivals.end();
  const stats = receiver.stats();
  await receiver.close();
  child.disconnect();
  await once(child, "exit");
  return {
    phase: phase.name,
    style: phase.style,
    seconds: round(seconds),
    sent,
    received: arrivals.datagrams,
    kernelDrops: stats.kernelDrops,
    gaps: sent.datagrams - arrivals.datagrams,
    messages: arrivals.messages,
    superDatagrams: stats.gro.superDatagrams,
    reads: stats.reads,
    duplicates: arrivals.duplicates,
    overtaken: arrivals.overtaken,
    heldChecked: arrivals.heldChecked,
    megabytes: Math.round(stats.bytes / 1e6),
    cpuSeconds: round((user + system) / 1e6),
    rssMegabytes: rssMegabytes(),
    kiloDatagramsPerSecond: Math.round(arrivals.datagrams / seconds / 1e3),
    problems: [...arrivals.problems, ...faultsOf(phase, sent, arrivals, stats)],
  };
}

/** Rejects when the sender ends by itself. */
async function failed(child: ReturnType<typeof fork>): Promise<never> {
  const [code, signal] = (await once(child, "exit")) as [number | null, string | null];
  throw new Error(`the sender ended with ${code ?? signal}`);
}

async function open(pool: JumboPool, { hasGro: gro, style }: Phase, arrivals: Arrivals): Promise<UdpReceiver> {
  const options = {
    pool,
    gro,
    address: "127.0.0.1",
    recvBufferBytes: style === "slow" ? SLOW_BUFFER_BYTES : BUFFER_BYTES,
    engine: "recvmmsg",
  } as const;
  if (style === "iteration") {
    const receiver = await bindUdp(options);
    void iterate(receiver, arrivals);
    return receiver;
  }
  let batches = 0;
  const receiver: UdpReceiver = await bindUdp(options, (batch) => {
    arrivals.take(batch, receiver);
    if (style === "callback") return undefined;
    return ++batches % SLOW_EVERY === 0 ? delay(SLOW_MS) : Promise.resolve();
  });
  return receiver;
}

async function iterate(receiver: UdpReceiver, arrivals: Arrivals): Promise<void> {
  for await (const batch of receiver) arrivals.take(batch, receiver);
}

/** The laws: what was sent either came, whole and once, or was dropped by the kernel, which says so. */
function faultsOf(phase: Phase, sent: SendReport, arrivals: Arrivals, stats: UdpStats): string[] {
  const { kernelDrops } = stats;
  const gaps = sent.datagrams - arrivals.datagrams;
  const lostMessages = sent.messages - arrivals.messages;
  const faults: string[] = [];
  const law = (holds: boolean, text: string): void => void (holds || faults.push(text));
  law(sent.errors === 0, `${sent.errors} datagrams could not be sent`);
  law(
    stats.datagrams === arrivals.datagrams + arrivals.duplicates,
    `${stats.datagrams} counted, ${arrivals.datagrams} came`,
  );
  law(stats.truncated === 0 && stats.errors === 0 && stats.dropped === 0, JSON.stringify(stats));
  law(stats.held.datagrams === 0 && stats.held.pages === 0, `still held: ${JSON.stringify(stats.held)}`);
  const isWholesale = phase.isGso && phase.hasGro;
  if (!isWholesale) law(gaps === kernelDrops, `${gaps} did not come, ${kernelDrops} were dropped`);
  else if (sent.viaNode === 0) {
    law(lostMessages === kernelDrops, `${lostMessages} messages did not come, ${kernelDrops} were dropped`);
    law(
      arrivals.expected === arrivals.datagrams,
      `of messages that came, ${arrivals.expected - arrivals.datagrams} datagrams did not`,
    );
  }
  law(gaps >= kernelDrops && gaps <= kernelDrops * SEGMENTS_MAX, `${gaps} gaps by ${kernelDrops} drops`);
  return faults;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

/**
 * Receiving UDP: jumbo beside dgram, beside Bun, and beside recvmmsg(2) in C.
 *
 *     sender process ──127.0.0.1──▶ candidate process        both fresh for each run; nothing runs on reserved cores
 */
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import process from "node:process";
import { alternate, runChild } from "./alternate.ts";
import type { Candidate } from "./alternate.ts";
import { compileC } from "./compile-c.ts";
import { describeMachine } from "./machine.ts";
import type { Column, Report, Table } from "./report.ts";
import { compiledFile } from "./repository.ts";
import type { BenchOptions } from "./run.ts";
import { runUdp } from "./udp-run.ts";
import type { Command, UdpLoad } from "./udp-run.ts";
import { IDLE_ROWS, ROWS, udpTargets } from "./udp-targets.ts";

type Receiver = Command & { readonly name: string };

/** Asked for by every receiver. The kernel gives at most net.core.rmem_max, doubled for its bookkeeping. */
const BUFFER_BYTES = 4 * 1024 * 1024;
const IDLE_SOCKETS = 1000;

const CPU: readonly Column[] = [
  { figure: "userUs", heading: "user us", digits: 2 },
  { figure: "systemUs", heading: "sys us", digits: 2 },
  { figure: "cpuUs", heading: "CPU us/dgram", digits: 2, hasRatio: true, panel: "CPU, µs per datagram received" },
  { figure: "kiloPerCpuSecond", heading: "k/CPU s", digits: 0, hasRatio: true },
];
const RATE: Column = { figure: "kiloPerSecond", heading: "k/s", digits: 0, hasRatio: true };
const COLUMNS: readonly Column[] = [
  RATE,
  { figure: "lossPercent", heading: "loss %", digits: 1, panel: "datagrams lost, %" },
  ...CPU,
  { figure: "delayP99Ms", heading: "loop p99 ms", digits: 2, panel: "event loop delay, p99, ms" },
  { figure: "peakRssMb", heading: "RSS MB", digits: 0 },
];
const GSO_COLUMNS: readonly Column[] = COLUMNS.map((column) =>
  column.figure === "cpuUs" ? { ...column, digits: 3 } : column,
).toSpliced(1, 0, { figure: "wallUs", heading: "us/dgram", digits: 3, panel: "time, µs per datagram received" });
const IDLE_COLUMNS: readonly Column[] = [
  { figure: "cpuPercent", heading: "CPU %", digits: 2, panel: "CPU at rest, %" },
  { figure: "pagesInUse", heading: "pages in use", digits: 0, panel: "pages in use" },
  { figure: "rssMb", heading: "RSS MB", digits: 0, panel: "RSS, MB" },
];

export async function benchUdp(options: BenchOptions): Promise<Report> {
  const remarks = [
    "CPU is the receiver's, per datagram it received; what dropping one costs is the sender's",
    "wall time and loss also depend on how the two processes share the cores",
  ];
  const { runCount, isQuick } = options;
  const receivers = receiversWith(remarks);
  const withoutGro = receivers.filter(({ name }) => name !== ROWS.cGro);
  const count = isQuick ? 50_000 : 1_000_000;
  const load: UdpLoad = { mode: "plain", count, datagramBytes: 1400, datagramsPerSecond: 0 };
  const gsoLoad: UdpLoad = { ...load, mode: "gso", count: isQuick ? 500_000 : 10_000_000 };

  const plain = await loaded("1,400 B, no offload", load, withoutGro, COLUMNS, runCount);
  const small = await loaded("64 B, no offload", { ...load, datagramBytes: 64 }, withoutGro, COLUMNS, runCount);
  const gso = await loaded("1,400 B, sent with GSO", gsoLoad, receivers, GSO_COLUMNS, runCount);
  const idle = await idleTable(isQuick ? 1 : 5, runCount);
  return {
    name: "udp",
    title: "jumbo receive: UDP into pages",
    machine: describeMachine(),
    runCount,
    isQuick,
    tables: [plain, small, gso, idle],
    targets: udpTargets({ plain, small, gso, idle }),
    remarks,
  };
}

async function loaded(
  title: string,
  load: UdpLoad,
  receivers: readonly Receiver[],
  columns: readonly Column[],
  runCount: number,
): Promise<Table> {
  const candidates = receivers.map((receiver): Candidate => ({
    name: receiver.name,
    measure: () => runUdp(load, receiver),
  }));
  const rows = await alternate(candidates, runCount, title);
  const count = load.count.toLocaleString("en-US");
  return { title: `${title}: ${count} datagrams as fast as they can be sent`, baseline: ROWS.dgram, columns, rows };
}

async function idleTable(seconds: number, runCount: number): Promise<Table> {
  const candidate = (name: string, kind: string, count: number): Candidate => ({
    name,
    measure: () =>
      runChild(process.execPath, ["--expose-gc", compiledFile("udp-idle.js"), kind, `${count}`, `${seconds}`]),
  });
  const candidates = [
    candidate(IDLE_ROWS.dgram, "dgram", IDLE_SOCKETS),
    candidate(IDLE_ROWS.dropIn, "jumbo-drop-in", IDLE_SOCKETS),
    candidate(IDLE_ROWS.jumbo, "jumbo", IDLE_SOCKETS),
    candidate(IDLE_ROWS.one, "jumbo", 1),
  ];
  return {
    title: `idle: sockets that got one datagram each and wait, for ${seconds} s`,
    baseline: null,
    columns: IDLE_COLUMNS,
    rows: await alternate(candidates, runCount, "idle"),
  };
}

/** All that can run here; who cannot is remarked upon. */
function receiversWith(remarks: string[]): Receiver[] {
  const node = (name: string, candidate: string): Receiver => ({
    name,
    command: process.execPath,
    args: ["--expose-gc", compiledFile("udp-candidate.js"), candidate, `${BUFFER_BYTES}`],
  });
  const receivers = [node(ROWS.dgram, "dgram"), node(ROWS.jumbo, "jumbo"), node(ROWS.dropIn, "jumbo-drop-in")];
  receivers.push(node(ROWS.shared, "jumbo-drop-in-shared"));
  const bun = findBun();
  if (bun === null)
    remarks.push("Bun is left out: it is not installed; npm install --no-save bun@1.4.5 brings it (100 MB, Linux)");
  else receivers.push({ name: ROWS.bun, command: bun, args: [compiledFile("udp-bun.js"), `${BUFFER_BYTES}`] });
  if (compileC("udp-sender").program === null)
    remarks.push("the sender is jumbo's own sendBatch: there is no C sender");
  const compiled = compileC("udp-receiver");
  if (compiled.program === null) remarks.push(`the C receiver is left out: ${compiled.reason}`);
  else {
    receivers.push({ name: ROWS.c, command: compiled.program, args: ["plain", `${BUFFER_BYTES}`] });
    receivers.push({ name: ROWS.cGro, command: compiled.program, args: ["gro", `${BUFFER_BYTES}`] });
  }
  return receivers;
}

/** Where npm has put Bun's binary: in a package for this machine, from where the install script of package bun, if it ran, has moved it. */
function findBun(): string | null {
  if (process.platform !== "linux") return null;
  const { resolve } = createRequire(import.meta.url);
  const arch = process.arch === "arm64" ? "aarch64" : process.arch;
  for (const name of [`@oven/bun-linux-${arch}`, `@oven/bun-linux-${arch}-musl`]) {
    try {
      const binary = path.join(path.dirname(resolve(`${name}/package.json`)), "bin", "bun");
      return existsSync(binary) ? binary : path.join(path.dirname(resolve("bun/package.json")), "bin", "bun.exe");
    } catch {
      // Not the one that npm chose.
    }
  }
  return null;
}

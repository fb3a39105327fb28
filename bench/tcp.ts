/**
 * Receiving TCP: jumbo beside a stream's 'data', beside onread with one static buffer, and beside read(2) in C.
 *
 *     sender process ──127.0.0.1──▶ candidate process        both fresh for each run
 */
import { spawn } from "node:child_process";
import type { ChildProcessByStdio } from "node:child_process";
import process from "node:process";
import type { Readable } from "node:stream";
import { alternate, runChild } from "./alternate.ts";
import type { Candidate } from "./alternate.ts";
import { compileC } from "./compile-c.ts";
import type { Figures } from "./figures.ts";
import { describeMachine } from "./machine.ts";
import type { Column, Report, Table } from "./report.ts";
import { compiledFile } from "./repository.ts";
import type { BenchOptions } from "./run.ts";
import { tcpTargets } from "./tcp-targets.ts";

type Load = {
  readonly name: "bulk" | "retained" | "messages";
  readonly title: string;
  readonly connections: number;
  readonly bytes: number;
  /** How many of the last chunks are kept. */
  readonly retain: number;
  /** 0: as fast as possible. */
  readonly messagesPerSecond: number;
};

const MESSAGE_BYTES = 200;
const NODE_CANDIDATES = ["data", "onread", "jumbo"];

const GC: readonly Column[] = [
  { figure: "gcCount", heading: "GCs", digits: 0 },
  { figure: "gcMs", heading: "GC ms", digits: 1, hasRatio: true, panel: "garbage collection, ms" },
];
const RSS: Column = { figure: "peakRssMb", heading: "RSS MB", digits: 0, hasRatio: true, panel: "peak RSS, MB" };
const BULK_COLUMNS: readonly Column[] = [
  { figure: "gbPerSecond", heading: "GB/s", digits: 2, hasRatio: true },
  { figure: "userPerGb", heading: "user s/GB", digits: 3 },
  { figure: "systemPerGb", heading: "sys s/GB", digits: 3 },
  { figure: "cpuPerGb", heading: "CPU s/GB", digits: 3, hasRatio: true, panel: "CPU seconds per GB" },
  ...GC,
  RSS,
];
const MESSAGE_COLUMNS: readonly Column[] = [
  { figure: "seconds", heading: "s", digits: 2 },
  { figure: "chunks", heading: "chunks", digits: 0 },
  { figure: "userUsPerMessage", heading: "user us/msg", digits: 2, hasRatio: true, panel: "user CPU, µs per message" },
  { figure: "cpuUsPerMessage", heading: "CPU us/msg", digits: 2, hasRatio: true },
  ...GC,
  RSS,
];

export async function benchTcp(options: BenchOptions): Promise<Report> {
  const remarks: string[] = [];
  const tables: Table[] = [];
  for (const load of loadsOf(options.isQuick)) {
    const rows = await alternate(candidatesFor(load, tables.length === 0 ? remarks : []), options.runCount, load.name);
    const columns = load.name === "messages" ? MESSAGE_COLUMNS : BULK_COLUMNS;
    tables.push({ title: load.title, baseline: "data", columns, rows });
  }
  return {
    name: "tcp",
    title: "jumbo receive: TCP into pages",
    machine: describeMachine(),
    runCount: options.runCount,
    isQuick: options.isQuick,
    tables,
    targets: tcpTargets(tables[1], tables[2]),
    remarks,
  };
}

function loadsOf(isQuick: boolean): Load[] {
  const bytes = isQuick ? 200e6 : 4e9;
  const messages = isQuick ? 20_000 : 1_000_000;
  const one = { connections: 1, bytes, retain: 0, messagesPerSecond: 0 };
  return [
    { ...one, name: "bulk", title: `bulk: ${bytes / 1e9} GB over one connection` },
    { ...one, name: "retained", title: "retained: the same with the last 2,000 chunks kept", retain: 2000 },
    {
      name: "messages",
      title: `messages: ${messages.toLocaleString("en-US")} of 200 bytes, 100,000/s over 200 connections`,
      connections: 200,
      bytes: messages * MESSAGE_BYTES,
      retain: 0,
      messagesPerSecond: 100_000,
    },
  ];
}

function candidatesFor(load: Load, remarks: string[]): Candidate[] {
  const node = NODE_CANDIDATES.map((name) => ({
    name,
    measure: () => measure(load, process.execPath, ["--expose-gc", compiledFile("tcp-candidate.js"), name]),
  }));
  if (compileC("tcp-sender").program === null) remarks.push("the sender is a Node program: it may be what limits bulk");
  const compiled = compileC("tcp-receiver");
  if (compiled.program === null) {
    remarks.push(`the C receiver is left out: ${compiled.reason}`);
    return node;
  }
  return [...node, { name: "c", measure: () => measure(load, compiled.program, []) }];
}

/** One sender, one receiver, to their ends. */
async function measure(load: Load, command: string, args: readonly string[]): Promise<Figures> {
  const sender = startSender(load);
  try {
    const port = await firstLine(sender.stdout);
    const numbers = [port, load.connections, load.bytes, load.retain].map(String);
    const figures = await runChild(command, [...args, ...numbers]);
    return { ...figures, ...ratesOf(figures) };
  } finally {
    sender.kill(); // after a run it has ended by itself
  }
}

function startSender(load: Load): ChildProcessByStdio<null, Readable, null> {
  const args =
    load.messagesPerSecond === 0
      ? ["bulk", load.bytes]
      : ["messages", load.connections, MESSAGE_BYTES, load.messagesPerSecond, load.bytes / MESSAGE_BYTES];
  const { program } = compileC("tcp-sender");
  return program === null
    ? spawnSender(process.execPath, [compiledFile("tcp-sender.js"), ...args.map(String)])
    : spawnSender(program, args.map(String));
}

function spawnSender(command: string, args: readonly string[]): ChildProcessByStdio<null, Readable, null> {
  return spawn(command, args, { stdio: ["ignore", "pipe", "inherit"] });
}

async function firstLine(stream: NodeJS.ReadableStream): Promise<string> {
  let text = "";
  for await (const chunk of stream) {
    text += String(chunk);
    if (text.includes("\n")) break;
  }
  return text.trim();
}

function ratesOf(figures: Figures): Figures {
  const { bytes = 0, seconds = 0, userSeconds = 0, systemSeconds = 0 } = figures;
  const gb = bytes / 1e9;
  const messages = bytes / MESSAGE_BYTES;
  return {
    gbPerSecond: gb / seconds,
    userPerGb: userSeconds / gb,
    systemPerGb: systemSeconds / gb,
    cpuPerGb: (userSeconds + systemSeconds) / gb,
    userUsPerMessage: (userSeconds * 1e6) / messages,
    cpuUsPerMessage: ((userSeconds + systemSeconds) * 1e6) / messages,
  };
}

/**
 * TCP relays side by side: what passing 1 GB from one connection to another costs the process in between.
 *
 *     tcp-sender.c ──▶ relay: pipeline, jumbo, socat, … ──▶ tcp-receiver.c        all on 127.0.0.1, fresh for each run
 */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { alternate } from "./alternate.ts";
import type { Candidate } from "./alternate.ts";
import { compileC } from "./compile-c.ts";
import type { Figures } from "./figures.ts";
import { FOREIGN_RELAYS } from "./foreign-relay.ts";
import type { Running } from "./foreign-relay.ts";
import { medianOf, ratioTarget } from "./report.ts";
import type { Column, Table, Target } from "./report.ts";
import { compiledFile } from "./repository.ts";
import type { BenchOptions } from "./run.ts";

export const BULK_COLUMNS: readonly Column[] = [
  { figure: "gbPerSecond", heading: "GB/s", digits: 2 },
  { figure: "userPerGb", heading: "user s/GB", digits: 3 },
  { figure: "systemPerGb", heading: "sys s/GB", digits: 3 },
  { figure: "cpuPerGb", heading: "CPU s/GB", digits: 3, hasRatio: true, panel: "CPU, s per GB" },
  { figure: "gcMs", heading: "GC ms", digits: 1, hasRatio: true, panel: "garbage collection, ms" },
  { figure: "peakRssMb", heading: "RSS MB", digits: 0 },
];

/** Null, with a remark that says why, when there is no compiler for the sender and the receiver. */
export async function relayTable({ runCount, isQuick }: BenchOptions, remarks: string[]): Promise<Table | null> {
  const [sender, receiver] = [compileC("tcp-sender"), compileC("tcp-receiver")];
  if (sender.program === null || receiver.program === null) {
    remarks.push("relay and file are left out: their sender and receiver are C programs, and there is no C compiler");
    return null;
  }
  const bytes = isQuick ? 200e6 : 10e9;
  const title = `relay: ${bytes / 1e9} GB over one connection`;
  const measure = async (start: (originPort: number) => Promise<Running>): Promise<Figures> => {
    const origin = await startOrigin(sender.program, bytes);
    const running = await start(origin.port);
    const taker = spawn(receiver.program, [String(running.port), "1", String(bytes), "0"], { stdio: "ignore" });
    try {
      return ratesOf(await running.figures(once(taker, "close"), bytes));
    } finally {
      for (const child of [origin.child, running.child, taker]) child.kill();
    }
  };
  const candidates: Candidate[] = (["pipeline", "pages", "splice"] as const).map((kind) => ({
    name: kind === "pipeline" ? kind : `jumbo ${kind}`,
    measure: () => measure((port) => startOurs(kind, port)),
  }));
  for (const { name, isThere, start } of FOREIGN_RELAYS) {
    if (isThere()) candidates.push({ name, measure: () => measure(start) });
    else remarks.push(`${name} is left out: it is not installed, or lacks a module (scripts/install-peers.sh)`);
  }
  return { title, baseline: "pipeline", columns: BULK_COLUMNS, rows: await alternate(candidates, runCount, title) };
}

export function relayTargets(table: Table | null): Target[] {
  if (table === null) return [];
  const ratio = (name: string, figure: string, text: string, max: number): Target =>
    ratioTarget(
      `relay, ${name}: ${text} of pipeline`,
      medianOf(table, name, figure),
      medianOf(table, "pipeline", figure),
      (measured) => measured <= max,
    );
  return [
    ratio("jumbo pages", "cpuPerGb", "CPU per GB at most 0.65x", 0.65),
    ratio("jumbo pages", "gcMs", "GC time at most 1/4", 0.25),
    ratio("jumbo splice", "cpuPerGb", "CPU per GB at most 0.4x", 0.4),
    ratio("jumbo splice", "gcMs", "GC time at most 1/4", 0.25),
  ];
}

export function ratesOf(figures: Figures): Figures {
  const { bytes = 0, seconds = 0, userSeconds = 0, systemSeconds = 0 } = figures;
  const gb = bytes / 1e9;
  return {
    ...figures,
    gbPerSecond: gb / seconds,
    userPerGb: userSeconds / gb,
    systemPerGb: systemSeconds / gb,
    cpuPerGb: (userSeconds + systemSeconds) / gb,
  };
}

export async function startOrigin(program: string, bytes: number): Promise<{ child: ChildProcess; port: number }> {
  const child = spawn(program, ["bulk", String(bytes)], { stdio: ["ignore", "pipe", "inherit"] });
  const [text] = (await once(child.stdout, "data")) as [Buffer];
  return { child, port: Number(text) };
}

async function startOurs(kind: string, originPort: number): Promise<Running> {
  const args = ["--expose-gc", compiledFile("delivery-candidate.js"), "relay", kind, String(originPort)];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
  await once(child.stdout, "data");
  const ended = once(child, "close");
  const figures = async (): Promise<Figures> => {
    await ended;
    return JSON.parse(text.trim().split("\n").at(-1) ?? "") as Figures; // what our own candidate prints
  };
  return { port: Number(text.split("\n")[0]), child, figures };
}

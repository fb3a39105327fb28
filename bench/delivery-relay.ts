/**
 * TCP relays side by side: what passing 1 GB from one connection to another costs the process in between.
 *
 *     tcp-sender.c ──▶ relay: pipeline, jumbo, socat, nginx ──▶ tcp-receiver.c        all on 127.0.0.1, fresh for each run
 *
 * CPU of a program that is not ours is what /proc says of it before it ends, in steps of 10 ms.
 */
import { spawn, spawnSync } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { alternate } from "./alternate.ts";
import type { Candidate } from "./alternate.ts";
import { compileC } from "./compile-c.ts";
import type { Figures } from "./figures.ts";
import { medianOf, ratioTarget } from "./report.ts";
import type { Column, Table, Target } from "./report.ts";
import { compiledFile } from "./repository.ts";
import type { BenchOptions } from "./run.ts";

const CLOCK_TICKS = 100; // sysconf(_SC_CLK_TCK) on every Linux that Node runs on

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
  const bytes = isQuick ? 200e6 : 4e9;
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
  if (spawnSync("socat", ["-V"]).error === undefined)
    candidates.push({ name: "socat", measure: () => measure(startSocat) });
  else remarks.push("socat is left out: it is not installed");
  if (hasNginxStream()) candidates.push({ name: "nginx", measure: () => measure(startNginx) });
  else remarks.push("nginx is left out: it is not installed, or has no stream module");
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

/** A relay that accepts on `port`, and tells what it has cost once everything has arrived. */
type Running = {
  readonly port: number;
  readonly child: ChildProcess;
  readonly figures: (arrived: Promise<unknown>, bytes: number) => Promise<Figures>;
};

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

async function startSocat(originPort: number): Promise<Running> {
  const port = await freePort();
  const child = spawn("socat", [
    "-b65536",
    `TCP-LISTEN:${port},bind=127.0.0.1,reuseaddr`,
    `TCP:127.0.0.1:${originPort}`,
  ]);
  await listening(port);
  return foreign(child, port);
}

const STREAM_MODULE = "/usr/lib/nginx/modules/ngx_stream_module.so";

function nginxConfig(folder: string, port: number, originPort: number): string {
  const file = path.join(folder, "nginx.conf");
  const text = `load_module ${STREAM_MODULE}; daemon off; master_process off; pid ${folder}/pid; error_log /dev/null;
events {} stream { proxy_buffer_size 64k; server { listen 127.0.0.1:${port}; proxy_pass 127.0.0.1:${originPort}; } }\n`;
  writeFileSync(file, text);
  return file;
}

function temporaryFolder(): string {
  const folder = mkdtempSync(path.join(os.tmpdir(), "jumbo-bench-"));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

function hasNginxStream(): boolean {
  const folder = temporaryFolder();
  return spawnSync("nginx", ["-t", "-p", folder, "-c", nginxConfig(folder, 1, 2)]).status === 0;
}

async function startNginx(originPort: number): Promise<Running> {
  const folder = temporaryFolder();
  const port = await freePort();
  const child = spawn("nginx", ["-p", folder, "-c", nginxConfig(folder, port, originPort)], { stdio: "ignore" });
  await listening(port);
  return foreign(child, port);
}

function foreign(child: ChildProcess, port: number): Running {
  const start = performance.now();
  const pid = child.pid ?? 0;
  return {
    port,
    child,
    figures: async (arrived, bytes) => {
      // It may end with the connection, and then /proc has forgotten it: so look now and then.
      let used = cpuOf(pid);
      const watch = setInterval(() => (used = cpuOf(pid) ?? used), 10);
      await arrived;
      const seconds = (performance.now() - start) / 1000;
      clearInterval(watch);
      used = cpuOf(pid) ?? used;
      return { bytes, seconds, userSeconds: used?.user ?? Number.NaN, systemSeconds: used?.system ?? Number.NaN };
    },
  };
}

function cpuOf(pid: number): { readonly user: number; readonly system: number } | null {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
    const [user = 0, system = 0] = fields.slice(11, 13).map((ticks) => Number(ticks) / CLOCK_TICKS);
    return fields[0] === "Z" && user + system === 0 ? null : { user, system };
  } catch {
    return null; // it has ended
  }
}

async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as net.AddressInfo; // it listens on TCP
  server.close();
  await once(server, "close");
  return port;
}

/** Waits until somebody listens on `port`, without connecting: the first connection counts. */
async function listening(port: number): Promise<void> {
  const end = performance.now() + 5_000;
  const entry = `:${port.toString(16).toUpperCase().padStart(4, "0")} 00000000:0000 0A`;
  while (!readFileSync("/proc/net/tcp", "utf8").includes(entry)) {
    if (performance.now() > end) throw new Error(`nobody listens on port ${port}`);
    await delay(5);
  }
}

/**
 * Relays that nobody here wrote, to be measured beside ours: each takes connections on a port of its own and passes them to another.
 *
 * CPU of such a program is what /proc says of it before it ends, in steps of 10 ms.
 */
import { spawn, spawnSync } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Figures } from "./figures.ts";

const CLOCK_TICKS = 100; // sysconf(_SC_CLK_TCK) on every Linux that Node runs on
const STREAM_MODULE = "/usr/lib/nginx/modules/ngx_stream_module.so";

/** A relay that accepts on `port`, and tells what it has cost once everything has arrived. */
export type Running = {
  readonly port: number;
  readonly child: ChildProcess;
  readonly figures: (arrived: Promise<unknown>, bytes: number) => Promise<Figures>;
};

export type ForeignRelay = {
  readonly name: string;
  readonly isThere: () => boolean;
  readonly start: (originPort: number) => Promise<Running>;
};

/** One thread each, as ours has. haproxy splices what comes from the origin only when it is told to (`splice-auto` made no difference here). */
export const FOREIGN_RELAYS: readonly ForeignRelay[] = [
  { name: "socat", isThere: () => spawnSync("socat", ["-V"]).error === undefined, start: startSocat },
  { name: "nginx", isThere: hasNginxStream, start: startNginx },
  { name: "haproxy", isThere: hasHaproxy, start: (originPort) => startHaproxy(originPort, "") },
  {
    name: "haproxy splice",
    isThere: hasHaproxy,
    start: (originPort) => startHaproxy(originPort, "option splice-response"),
  },
];

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

function nginxConfig(folder: string, port: number, originPort: number): string {
  const file = path.join(folder, "nginx.conf");
  const text = `load_module ${STREAM_MODULE}; daemon off; master_process off; pid ${folder}/pid; error_log /dev/null;
events {} stream { proxy_buffer_size 64k; server { listen 127.0.0.1:${port}; proxy_pass 127.0.0.1:${originPort}; } }\n`;
  writeFileSync(file, text);
  return file;
}

let parent: string | undefined;

/** A folder that goes with this process. */
function temporaryFolder(): string {
  return mkdtempSync(path.join((parent ??= makeParent()), "run-"));
}

function makeParent(): string {
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

function hasHaproxy(): boolean {
  return spawnSync("haproxy", ["-v"]).error === undefined;
}

async function startHaproxy(originPort: number, option: string): Promise<Running> {
  const port = await freePort();
  const file = path.join(temporaryFolder(), "haproxy.cfg");
  const text = `global\n nbthread 1\ndefaults\n mode tcp\n timeout connect 5s\n timeout client 60s\n timeout server 60s\n ${option}
listen relay\n bind 127.0.0.1:${port}\n server origin 127.0.0.1:${originPort}\n`;
  writeFileSync(file, text);
  const child = spawn("haproxy", ["-db", "-f", file], { stdio: "ignore" });
  await listening(port);
  return foreign(child, port);
}

function foreign(child: ChildProcess, port: number): Running {
  const start = performance.now();
  const pid = child.pid ?? 0;
  const before = cpuOf(pid); // what it took to begin is not counted
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
      const since = (part: "user" | "system"): number => (used?.[part] ?? Number.NaN) - (before?.[part] ?? 0);
      return { bytes, seconds, userSeconds: since("user"), systemSeconds: since("system") };
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

/** Much through one relay, from a program nobody here wrote to another: what comes out is what went in. */
import { execFileSync, spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import type { RelayEngine, RelayStats } from "../../src/delivery/index.ts";
import { until } from "../support/at-rest.ts";
import { SoakProxy, round } from "./relay-proxy.ts";
import type { AtRest, Relayed } from "./relay-proxy.ts";

/** This process may grow by so much: a copy of what passes through would be seen. */
const RSS_GROWTH_MB = 200;
const DIGEST_CHARS = 64;

export type DigestReport = AtRest & {
  readonly engine: RelayEngine;
  readonly bytes: number;
  readonly sha256: { readonly in: string; readonly out: string };
  readonly gbPerSecond: number;
  readonly cpuSecondsPerGb: number;
  /** Of the direction that the bytes took. */
  readonly relay: RelayStats | null;
};

/**
 *     openssl ──▶ socat ──▶ relay ──▶ socat ──▶ sha256sum        openssl ──▶ sha256sum, before
 */
export async function digestPhase(engine: RelayEngine, bytes: number, seed: number): Promise<DigestReport> {
  const source = sourceOf(bytes, seed);
  const expected = execFileSync("bash", ["-c", `${source} | sha256sum`], { encoding: "utf8" }).slice(0, DIGEST_CHARS);
  const taker = spawn("bash", ["-c", "socat -u -d -d -b65536 TCP-LISTEN:0,bind=127.0.0.1 STDOUT | sha256sum"], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const digest = textOf(taker.stdout);
  const targetPort = await listeningPort(taker);
  let relayed: Relayed | undefined;
  const proxy = new SoakProxy(engine, targetPort, (one) => (relayed = one));
  const port = await proxy.listen();
  const sender = spawn("bash", ["-c", `${source} | socat -u -b65536 STDIN TCP:127.0.0.1:${port}`], { stdio: "ignore" });
  await Promise.all([once(sender, "close"), once(taker, "close")]);
  await until(() => relayed !== undefined, "the relay is over");
  const atRest = await proxy.end();
  const actual = (await digest).slice(0, DIGEST_CHARS);
  const stats = relayed?.legs[0]?.stats() ?? null;
  return {
    engine,
    bytes,
    sha256: { in: expected, out: actual },
    gbPerSecond: round(bytes / 1e9 / atRest.seconds),
    cpuSecondsPerGb: Math.round((atRest.cpuSeconds / bytes) * 1e12) / 1e3,
    relay: stats,
    ...atRest,
    problems: [...atRest.problems, ...faultsOf(bytes, expected === actual, relayed, stats, atRest)],
  };
}

function faultsOf(
  bytes: number,
  isIntact: boolean,
  relayed: Relayed | undefined,
  stats: RelayStats | null,
  { rssMegabytes }: AtRest,
): string[] {
  const failed = relayed?.outcomes.filter((outcome) => outcome !== undefined) ?? [];
  const laws: [boolean, string][] = [
    [isIntact, "the digests differ"],
    [failed.length === 0, `failed: ${failed.map(String).join(", ")}`],
    [stats?.bytesRead === bytes && stats.bytesWritten === bytes, `not ${bytes} bytes: ${JSON.stringify(stats)}`],
    [stats?.pagesPinned === 0, "pages are pinned"],
    [rssMegabytes.max - rssMegabytes.begin <= RSS_GROWTH_MB, `grew: ${JSON.stringify(rssMegabytes)} MB`],
  ];
  return laws.flatMap(([holds, text]) => (holds ? [] : [text]));
}

/** A shell's pipeline that makes `bytes` bytes, no two places of which are alike; `seed` repeats them. */
function sourceOf(bytes: number, seed: number): string {
  const key = seed.toString(16).padStart(32, "0");
  return `openssl enc -aes-128-ctr -nosalt -K ${key} -iv ${"0".repeat(32)} < /dev/zero 2>/dev/null | head -c ${bytes}`;
}

async function textOf(stream: NodeJS.ReadableStream): Promise<string> {
  let text = "";
  for await (const chunk of stream) text += String(chunk);
  return text;
}

/** The port that socat says it listens on. */
async function listeningPort({ stderr }: ChildProcess): Promise<number> {
  let text = "";
  stderr?.on("data", (chunk: Buffer) => (text += chunk.toString()));
  await until(() => /listening on .*:\d+/.test(text), "socat listens");
  return Number(/listening on .*:(\d+)/.exec(text)?.[1]);
}

/** The stress half of the UDP soak: about a hundred sockets, in this thread and in others, come and go while another process sends to them. */
import { fork } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { readdirSync, readlinkSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { until } from "../support/at-rest.ts";
import { Random } from "../support/random.ts";
import { Crowd } from "./udp-crowd.ts";
import type { CrowdReport } from "./udp-crowd.ts";
import type { WorkerOrder } from "./udp-stress-worker.ts";

/** Of this thread, and of each of the others. */
const PLACES = 64;
const WORKERS = 4;
const WORKER_PLACES = 9;
/** After so long everything ends, and nothing may be left; then it begins anew. */
const ROUND_MS = 15_000;
/** The first one, which opens what is opened once for all. Shorter, so that what every socket leaves behind is more in the next ones. */
const FIRST_ROUND_MS = 3000;
const TELL_MS = 10;
const GC_MS_MAX = 400;
const WORKER_MS_MAX = 4000;
/** Of the rounds, one in so many terminates no worker, and is strict about descriptors. */
const GENTLE_EVERY = 2;
/** For each terminated worker. */
const ORPHANED_SETS_MAX = 0.1;

export type StressReport = {
  readonly rounds: number;
  readonly lives: Readonly<Record<string, number>>;
  readonly datagrams: number;
  readonly workers: { readonly terminated: number; readonly ended: number };
  readonly collections: number;
  /** Open when nothing is going on: after the first round and after the last one. */
  readonly descriptors: { readonly first: number; readonly last: number; readonly orphanedSets: number };
  readonly rssMegabytes: readonly number[];
  readonly problems: readonly string[];
};

const totals = { rounds: 0, datagrams: 0, terminated: 0, ended: 0, collections: 0, orphanedSets: 0 };
const lives: Record<string, number> = {};
const problems: string[] = [];
const rssMegabytes: number[] = [];
/** After the last round; and how many after the first one. */
const open: { descriptors: readonly string[] | null; first: number | null } = { descriptors: null, first: null };

export async function stress(minutes: number, seed: number, say: (text: string) => void): Promise<StressReport> {
  if (globalThis.gc === undefined) throw new Error("run it with --expose-gc");
  const random = new Random(seed);
  const traffic = fork(new URL("udp-stress-traffic.js", import.meta.url), [String(seed)], { execArgv: [] });
  let isOver = false;
  traffic.once("exit", (code, signal) => isOver || problems.push(`the sender ended with ${code ?? signal}`));
  const endMs = performance.now() + minutes * 60_000;
  do {
    const lengthMs = totals.rounds === 0 ? FIRST_ROUND_MS : ROUND_MS;
    await round(random.fork(), traffic, Math.min(lengthMs, endMs - performance.now()));
    say(
      `round ${totals.rounds}: ${JSON.stringify({ ...totals, descriptors: open.descriptors?.length, rss: rssMegabytes.at(-1), problems: problems.length })}`,
    );
  } while (performance.now() < endMs && problems.length === 0);
  isOver = true;
  traffic.disconnect();
  const { rounds, datagrams, terminated, ended, collections, orphanedSets } = totals;
  const descriptors = { first: open.first ?? 0, last: open.descriptors?.length ?? 0, orphanedSets };
  return { rounds, lives, datagrams, workers: { terminated, ended }, collections, descriptors, rssMegabytes, problems };
}

/** Everything comes, goes, and is gone. */
async function round(random: Random, traffic: ChildProcess, lengthMs: number): Promise<void> {
  const places = new Int32Array(new SharedArrayBuffer(4 * (PLACES + WORKERS * WORKER_PLACES)));
  const crowd = new Crowd(random.int(0, 2 ** 31), places.subarray(0, PLACES));
  const onError = (error: Error): void => void (Crowd.isIntended(error) || crowd.problem(`uncaught: ${error.stack}`));
  process.on("uncaughtException", onError);
  const tellAgain = setInterval(() => traffic.send([...places]), TELL_MS);
  const over = new AbortController();
  const isGentle = totals.rounds % GENTLE_EVERY === 0;
  const { terminated } = totals;
  const others = Array.from({ length: WORKERS }, (_, index) => {
    const first = PLACES + index * WORKER_PLACES;
    return keepWorkers(
      { random: random.fork(), ports: places.subarray(first, first + WORKER_PLACES), isGentle },
      over.signal,
    );
  });
  const collecting = collect(random.fork(), crowd, over.signal);
  await delay(Math.max(0, lengthMs));
  over.abort();
  try {
    await Promise.all([...others, collecting, crowd.end()]);
  } finally {
    clearInterval(tellAgain);
    process.off("uncaughtException", onError);
  }
  add(crowd.report);
  totals.rounds++;
  await checkDescriptors(totals.terminated - terminated);
  globalThis.gc?.();
  rssMegabytes.push(Math.round(process.memoryUsage.rss() / 1e6));
}

type Keeping = { readonly random: Random; readonly ports: Int32Array; readonly isGentle: boolean };

/** One worker after the other. Most are terminated in the middle of everything; in a gentle round all are asked to end. */
async function keepWorkers({ random, ports, isGentle }: Keeping, over: AbortSignal): Promise<void> {
  while (!over.aborted && problems.length === 0) {
    const order: WorkerOrder = { seed: random.int(0, 2 ** 31), ports };
    const worker = new Worker(new URL("udp-stress-worker.js", import.meta.url), { workerData: order });
    worker.on("error", (error) => problems.push(`a worker failed: ${error.stack}`));
    await messageOf(worker); // one that is terminated while Node loads its modules leaves their files open
    await pause(random.int(0, WORKER_MS_MAX), over);
    if (!isGentle && random.chance(0.7)) totals.terminated++;
    else {
      worker.postMessage("end"); // oxlint-disable-line unicorn/require-post-message-target-origin -- a thread, not a window
      const report = await messageOf(worker);
      if (report !== null) add(report as CrowdReport); // it says nothing else any more
      totals.ended++;
    }
    await worker.terminate();
    ports.fill(0);
  }
}

/** What the worker says next; null when it ends without a word, which is a problem. */
function messageOf(worker: Worker): Promise<unknown> {
  return new Promise((resolve) => {
    const onExit = (code: number): void => {
      worker.off("message", onMessage);
      problems.push(`a worker ended by itself, with ${code}`);
      resolve(null);
    };
    const onMessage = (message: unknown): void => {
      worker.off("exit", onExit);
      resolve(message);
    };
    if (worker.threadId < 0) return onExit(-1); // it has ended before
    worker.once("exit", onExit).once("message", onMessage);
  });
}

/** Collects garbage at odd moments, and looks whether every page is where it should be. */
async function collect(random: Random, crowd: Crowd, over: AbortSignal): Promise<void> {
  while (!over.aborted) {
    await pause(random.int(0, GC_MS_MAX), over);
    globalThis.gc?.();
    totals.collections++;
    try {
      crowd.verify();
    } catch (error) {
      crowd.problem(String(error));
    }
  }
}

async function pause(ms: number, over: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal: over }).catch(() => {}); // then it is over
}

function add({ lives: more, datagrams, problems: found }: CrowdReport): void {
  for (const [kind, count] of Object.entries(more)) lives[kind] = (lives[kind] ?? 0) + count;
  totals.datagrams += datagrams;
  problems.push(...found);
}

/**
 * None is left open; some are opened once for all, in the first round. A worker that is terminated in the very microseconds in which it makes the epoll
 * set of a socket leaves that set: nobody can close it then.
 */
async function checkDescriptors(terminated: number): Promise<void> {
  const before = open.descriptors;
  const setsMax = Math.ceil(terminated * ORPHANED_SETS_MAX);
  const isClean = (now = descriptors()): boolean => {
    const grown = now.length - (before?.length ?? now.length);
    return grown <= 0 || (grown <= setsMax && grown === sets(now) - sets(before ?? []));
  };
  await until(isClean, "closed").catch(() =>
    problems.push(`open: ${descriptors().join(" ")}; before: ${before?.join(" ")}`),
  );
  const now = descriptors();
  if (before !== null) totals.orphanedSets += Math.max(0, now.length - before.length);
  open.first ??= now.length;
  open.descriptors = now;
}

function sets(descriptors: readonly string[]): number {
  return descriptors.filter((each) => each.includes("[eventpoll]")).length;
}

function descriptors(): string[] {
  return readdirSync("/proc/self/fd").map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      return "the listing itself";
    }
  });
}

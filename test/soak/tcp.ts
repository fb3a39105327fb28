/**
 * Not a test: random connections, consumers and pools for as long as it is told to, each run repeated by its seed.
 *
 *     node dist/test/soak/tcp.js --seconds 600 --seed 1
 *
 * Says on stderr once a minute how far it is; prints one JSON object at the end. Exit code 1 when anything failed; the seed of a
 * failure, as `--seed` with `--seconds 0`, runs just that again.
 */
import { parseArgs } from "node:util";
import { noTls } from "../support/transports.ts";
import { runOnce } from "./tcp-run.ts";

type Failure = { readonly seed: number; readonly problems: readonly string[] };

/** Enough to see what is wrong. */
const FAILURES_MAX = 12;
const PROBLEMS_MAX = 8;
const LINE_MS = 60_000;

const totals = { runs: 0, connections: 0, bytes: 0 };
const failures: Failure[] = [];
const startMs = performance.now();

function secondsSoFar(): number {
  return Math.round((performance.now() - startMs) / 1000);
}

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

function sayProgress(): void {
  const { runs, connections, bytes } = totals;
  const megabytes = Math.round(bytes / 1e6);
  say(`${secondsSoFar()} s: ${runs} runs, ${connections} connections, ${megabytes} MB, ${failures.length} failures`);
}

function fail(seed: number, problems: readonly string[]): void {
  const more = problems.length - PROBLEMS_MAX;
  const failure = { seed, problems: [...problems.slice(0, PROBLEMS_MAX), ...(more > 0 ? [`and ${more} more`] : [])] };
  failures.push(failure);
  say(`seed ${seed} failed:\n  ${failure.problems.join("\n  ")}`);
}

function finish(): never {
  const report = { node: process.version, seconds: secondsSoFar(), ...totals, failures };
  process.stdout.write(`${JSON.stringify(report)}\n`);
  process.exit(failures.length > 0 ? 1 : 0); // a run that got stuck may have left sockets
}

function numberFrom(option: string | undefined, otherwise: number): number {
  const value = option === undefined ? otherwise : Number(option);
  if (!Number.isInteger(value) || value < 0) throw new RangeError(`a whole number is wanted, not ${option}`);
  return value;
}

async function soak(seconds: number, firstSeed: number): Promise<void> {
  let seed = firstSeed;
  process.on("uncaughtException", (error) => {
    fail(seed, [`uncaught: ${error.stack ?? String(error)}`]);
    finish(); // the state of the process is not known any more
  });
  let lineAtMs = LINE_MS;
  do {
    const { connections, bytes, problems } = await runOnce(seed);
    totals.runs++;
    totals.connections += connections;
    totals.bytes += bytes;
    if (problems.length > 0) fail(seed, problems);
    if (performance.now() - startMs >= lineAtMs) {
      sayProgress();
      lineAtMs += LINE_MS;
    }
    seed++;
  } while (performance.now() - startMs < seconds * 1000 && failures.length < FAILURES_MAX);
}

const { values } = parseArgs({ options: { seconds: { type: "string" }, seed: { type: "string" } } });
const seconds = numberFrom(values.seconds, 60);
const seed = numberFrom(values.seed, Date.now() % 1_000_000);
say(`${process.version}, ${seconds} s from seed ${seed}${noTls === false ? "" : `, without TLS: ${noTls}`}`);
await soak(seconds, seed);
finish();

/**
 * Not a test: much through `relay()`, and many that are cut off, with one engine or with both.
 *
 *     node dist/test/soak/relay.js --gigabytes 10 --resets 5000 --seed 1 --engine splice|pages
 *
 * Prints one JSON object per phase. Exit code 1 when anything was wrong. A seed repeats the bytes and the choices, not the timing.
 */
import { parseArgs } from "node:util";
import type { RelayEngine } from "../../src/delivery/index.ts";
import { ENGINES, skipFor } from "../delivery/proxy.ts";
import { digestPhase } from "./relay-digest.ts";
import { resetPhase } from "./relay-resets.ts";

function numberFrom(option: string): number {
  const value = Number(option);
  if (!(value >= 0)) throw new RangeError(`a number is wanted, not ${option}`);
  return value;
}

function enginesFrom(option: string | undefined): readonly RelayEngine[] {
  const engines = ENGINES.filter((engine) => option === undefined || engine === option);
  if (engines.length === 0) throw new RangeError(`there is no engine ${option}`);
  return engines;
}

function report(kind: string, seed: number, phase: { readonly problems: readonly string[] }): void {
  process.stdout.write(`${JSON.stringify({ kind, node: process.version, seed, ...phase })}\n`);
  if (phase.problems.length > 0) process.exitCode = 1;
}

const { values } = parseArgs({
  options: {
    gigabytes: { type: "string", default: "10" },
    resets: { type: "string", default: "5000" },
    seed: { type: "string", default: "1" },
    engine: { type: "string" },
  },
});
const [gigabytes, resets, seed] = [values.gigabytes, values.resets, values.seed].map(numberFrom) as [
  number,
  number,
  number,
]; // three in, three out
for (const engine of enginesFrom(values.engine)) {
  const reason = skipFor(engine);
  if (reason !== false) throw new Error(`${engine} cannot be had here: ${reason}`);
  report("digest", seed, await digestPhase(engine, gigabytes * 1e9, seed));
  report("resets", seed, await resetPhase(engine, resets, seed));
}
process.exit(); // what got stuck may have left sockets

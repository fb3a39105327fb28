/**
 * Not a test: UDP for as long, or as much, as it is told to. Two kinds:
 *
 *     node dist/test/soak/udp.js --datagrams 100000000 --seed 1         numbered datagrams; every one came, or the kernel has dropped it and says so
 *     node --expose-gc dist/test/soak/udp.js --stress --minutes 10      receivers come and go while traffic flows
 *
 * Says on stderr how far it is; prints one JSON object at the end. Exit code 1 when anything was wrong. A seed repeats the choices, not the timing.
 */
import { parseArgs } from "node:util";
import { count } from "./udp-count.ts";
import { stress } from "./udp-stress.ts";

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

function numberFrom(option: string | undefined, otherwise: number): number {
  const value = option === undefined ? otherwise : Number(option);
  if (!(value >= 0)) throw new RangeError(`a number is wanted, not ${option}`);
  return value;
}

const { values } = parseArgs({
  options: {
    datagrams: { type: "string" },
    stress: { type: "boolean", default: false },
    minutes: { type: "string" },
    seed: { type: "string" },
  },
});
const seed = numberFrom(values.seed, Date.now() % 1_000_000);
const started = performance.now();
say(`${process.version}, seed ${seed}`);
const kind = values.stress ? "stress" : "count";
const report = values.stress
  ? await stress(numberFrom(values.minutes, 10), seed, say)
  : await count(numberFrom(values.datagrams, 1_000_000), seed, say);
const seconds = Math.round((performance.now() - started) / 1000);
process.stdout.write(`${JSON.stringify({ kind, node: process.version, seed, seconds, ...report })}\n`);
process.exit(report.problems.length > 0 ? 1 : 0); // what got stuck may have left sockets

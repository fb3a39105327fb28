/**
 * Runs candidates alternately, each run in a process of its own, and takes medians.
 *
 *     run 1:  A B C D      run 2:  D C B A      run 3:  A B C D  …        a slow minute hits all of them alike
 */
import { spawn } from "node:child_process";
import process from "node:process";
import type { Figures } from "./figures.ts";

export type Candidate = {
  readonly name: string;
  /** Measures once, in fresh processes. */
  readonly measure: () => Promise<Figures>;
};

export type Measured = { readonly name: string; readonly medians: Figures; readonly runs: readonly Figures[] };

const CHILD_MS_MAX = 300_000;

/** Every candidate `runCount` times. A run that fails ends the bench: half a comparison is none. */
export async function alternate(
  candidates: readonly Candidate[],
  runCount: number,
  title: string,
): Promise<Measured[]> {
  const runs = new Map<string, Figures[]>(candidates.map((candidate) => [candidate.name, []]));
  for (let run = 0; run < runCount; run++) {
    const order = run % 2 === 0 ? candidates : candidates.toReversed();
    for (const candidate of order) {
      progress(`${title}: run ${run + 1} of ${runCount}, ${candidate.name}`);
      runs.get(candidate.name)?.push(await candidate.measure());
    }
  }
  progress("");
  return [...runs].map(([name, figures]) => ({ name, medians: mediansOf(figures), runs: figures }));
}

/** Starts `command` and takes the last line it prints as its figures. */
export async function runChild(command: string, args: readonly string[]): Promise<Figures> {
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "inherit"], timeout: CHILD_MS_MAX });
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
  const code = await new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (exitCode, signal) => resolve(exitCode ?? signal));
  });
  if (code !== 0) throw new Error(`candidate ${args.join(" ")} ended with ${String(code)}`);
  // A line of our own making: printFigures, or a printf in bench/c.
  return JSON.parse(text.trim().split("\n").at(-1) ?? "") as Figures;
}

/** @returns NaN without values */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2;
}

function mediansOf(runs: readonly Figures[]): Figures {
  const names = Object.keys(runs[0] ?? {});
  return Object.fromEntries(names.map((name) => [name, median(runs.map((run) => run[name] ?? Number.NaN))]));
}

/** One line that overwrites itself; nothing when nobody watches. */
function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\u001B[2K${text}`);
}

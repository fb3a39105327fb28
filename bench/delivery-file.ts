/**
 * Socket to file: `stream.pipeline` beside receive() and writeTo().
 */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { alternate, runChild } from "./alternate.ts";
import { compileC } from "./compile-c.ts";
import { BULK_COLUMNS, ratesOf, startOrigin } from "./delivery-relay.ts";
import type { Figures } from "./figures.ts";
import { medianOf, ratioTarget } from "./report.ts";
import type { Table, Target } from "./report.ts";
import { compiledFile } from "./repository.ts";
import type { BenchOptions } from "./run.ts";

/** Null when there is no compiler for the sender; relayTable() has said so. */
export async function fileTable({ runCount, isQuick }: BenchOptions): Promise<Table | null> {
  const sender = compileC("tcp-sender");
  if (sender.program === null) return null;
  const bytes = isQuick ? 100e6 : 2e9;
  // In memory where there is such a place: a disk would be what is measured.
  const folder = mkdtempSync(path.join(existsSync("/dev/shm") ? "/dev/shm" : os.tmpdir(), "jumbo-bench-"));
  const title = `file: ${bytes / 1e9} GB from a socket`;
  const measure = async (kind: string): Promise<Figures> => {
    const origin = await startOrigin(sender.program, bytes);
    const args = ["file", kind, String(origin.port), path.join(folder, "out")];
    return ratesOf(await runChild(process.execPath, ["--expose-gc", compiledFile("delivery-candidate.js"), ...args]));
  };
  const candidates = ["pipeline", "jumbo"].map((name) => ({ name, measure: () => measure(name) }));
  try {
    return { title, baseline: "pipeline", columns: BULK_COLUMNS, rows: await alternate(candidates, runCount, title) };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

export function fileTargets(table: Table | null): Target[] {
  if (table === null) return [];
  const ratio = (figure: string, text: string, max: number): Target =>
    ratioTarget(text, medianOf(table, "jumbo", figure), medianOf(table, "pipeline", figure), (found) => found <= max);
  return [
    ratio("cpuPerGb", "file: CPU per GB at most 0.65x of pipeline", 0.65),
    ratio("gcMs", "file: GC time at most 1/4 of pipeline", 0.25),
  ];
}

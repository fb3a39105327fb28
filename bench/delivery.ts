/**
 * What becomes of received bytes: reading them out of chains.
 */
import { cursorTable, cursorTargets } from "./cursor.ts";
import { describeMachine } from "./machine.ts";
import type { Report } from "./report.ts";
import type { BenchOptions } from "./run.ts";

export async function benchDelivery(options: BenchOptions): Promise<Report> {
  const cursor = await cursorTable(options);
  return {
    name: "delivery",
    title: "jumbo delivery: what becomes of received bytes",
    machine: describeMachine(),
    runCount: options.runCount,
    isQuick: options.isQuick,
    tables: [cursor],
    targets: cursorTargets(cursor),
    remarks: [
      "bl finds an offset from the start of its list, so each record is consumed when it was read, and the list made anew in each pass",
    ],
  };
}

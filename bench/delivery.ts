/**
 * What becomes of received bytes: passed on, written to a file, moved into other memory, read out of chains.
 */
import { cursorTable, cursorTargets } from "./cursor.ts";
import { fileTable, fileTargets } from "./delivery-file.ts";
import { flipTable, flipTargets } from "./delivery-flip.ts";
import { streamsTable } from "./delivery-streams.ts";
import { intoTable } from "./delivery-into.ts";
import { relayTable, relayTargets } from "./delivery-relay.ts";
import { describeMachine } from "./machine.ts";
import type { Report } from "./report.ts";
import type { BenchOptions } from "./run.ts";

export async function benchDelivery(options: BenchOptions): Promise<Report> {
  const remarks = [
    "bl finds an offset from the start of its list, so each record is consumed when it was read, and the list made anew in each pass",
  ];
  const relay = await relayTable(options, remarks);
  const file = await fileTable(options);
  const streams = await streamsTable(options);
  const into = await intoTable(options, remarks);
  const flip = flipTable(remarks);
  const cursor = await cursorTable(options);
  return {
    name: "delivery",
    title: "jumbo delivery: what becomes of received bytes",
    machine: describeMachine(),
    runCount: options.runCount,
    isQuick: options.isQuick,
    tables: [relay, file, streams, into, flip, cursor].filter((table) => table !== null),
    targets: [...relayTargets(relay), ...fileTargets(file), ...flipTargets(flip), ...cursorTargets(cursor)],
    remarks,
  };
}

/**
 * The stream adapters, which copy, beside Node's own: a stream is read to its end and dropped.
 */
import { alternate, runChild } from "./alternate.ts";
import { compileC } from "./compile-c.ts";
import { BULK_COLUMNS, ratesOf, startOrigin } from "./delivery-relay.ts";
import type { Figures } from "./figures.ts";
import type { Table } from "./report.ts";
import { compiledFile } from "./repository.ts";
import type { BenchOptions } from "./run.ts";

const KINDS = ["socket", "readableOf", "duplexOf", "toWeb", "webStreamOf"] as const;

/** Null when there is no compiler for the sender; relayTable() has said so. */
export async function streamsTable({ runCount, isQuick }: BenchOptions): Promise<Table | null> {
  const sender = compileC("tcp-sender");
  if (sender.program === null) return null;
  const bytes = isQuick ? 100e6 : 2e9;
  const title = `streams: ${bytes / 1e9} GB from a socket through a stream`;
  const measure = async (kind: string): Promise<Figures> => {
    const origin = await startOrigin(sender.program, bytes);
    const args = ["stream", kind, String(origin.port)];
    return ratesOf(await runChild(process.execPath, ["--expose-gc", compiledFile("delivery-candidate.js"), ...args]));
  };
  const candidates = KINDS.map((kind) => ({ name: kind, measure: () => measure(kind) }));
  return { title, baseline: "socket", columns: BULK_COLUMNS, rows: await alternate(candidates, runCount, title) };
}

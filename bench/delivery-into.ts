/**
 * Socket to the memory of a WebAssembly module: `'data'` and `set` beside receiveInto() with each engine.
 */
import { alternate, runChild } from "./alternate.ts";
import { compileC } from "./compile-c.ts";
import { BULK_COLUMNS, ratesOf, startOrigin } from "./delivery-relay.ts";
import { loadRecvCall } from "../src/os/recv-call.ts";
import type { Table } from "./report.ts";
import { compiledFile } from "./repository.ts";
import type { BenchOptions } from "./run.ts";

/** Null when there is no compiler for the sender; relayTable() has said so. */
export async function intoTable({ runCount, isQuick }: BenchOptions, remarks: string[]): Promise<Table | null> {
  const sender = compileC("tcp-sender");
  if (sender.program === null) return null;
  const bytes = isQuick ? 100e6 : 1e9;
  const title = `into WebAssembly memory: ${bytes / 1e6} MB from a socket, 4 MiB a call`;
  const kinds = ["data", "jumbo pages", "jumbo recv"];
  const found = loadRecvCall();
  if (found.call === null) remarks.push(`${kinds.pop()} is left out: ${found.reason}`);
  const candidates = kinds.map((name) => ({
    name,
    measure: async () => {
      const { port } = await startOrigin(sender.program, bytes);
      const args = ["into", name.replace("jumbo ", ""), String(port)];
      return ratesOf(await runChild(process.execPath, ["--expose-gc", compiledFile("delivery-candidate.js"), ...args]));
    },
  }));
  return {
    title,
    baseline: kinds[0] ?? null,
    columns: BULK_COLUMNS,
    rows: await alternate(candidates, runCount, title),
  };
}

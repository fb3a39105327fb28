/** Not a test: a process that receives on four connections into four pages, and says at its exit what it got. */
import net from "node:net";
import { JumboPool } from "../../src/index.ts";
import { receive } from "../../src/tcp/index.ts";

/** Printed as JSON. */
export type ShortPoolReport = { readonly bytes: number; readonly ended: number; readonly inUse: number };

const port = Number(process.argv[2]);
const engine = process.argv[3] === "data" ? "data" : "onread";
const pool = new JumboPool({ pagesMax: 4, idleTrimMs: 0 });
let bytes = 0;
let ended = 0;
for (let i = 0; i < 4; i++) {
  const socket = net.connect(port, "127.0.0.1");
  receive(socket, { pool, engine }, (m) => void (bytes += m.length));
  socket.on("end", () => ended++);
}
process.on("exit", () => {
  pool.verify();
  const report: ShortPoolReport = { bytes, ended, inUse: pool.stats().inUse };
  process.stdout.write(JSON.stringify(report));
});

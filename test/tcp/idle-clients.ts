/** Not a test: a process with many connections. Each message is a number of bytes to send on every one; 0 ends them all. */
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import net from "node:net";
import { pathToFileURL } from "node:url";

/** How many files one process may open here. */
export function openFilesMax(): number {
  const said = execFileSync("/bin/sh", ["-c", "ulimit -n"], { encoding: "utf8" }).trim();
  return said === "unlimited" ? Number.POSITIVE_INFINITY : Number(said);
}

async function main(port: number, count: number): Promise<void> {
  const sockets: net.Socket[] = [];
  for (let i = 0; i < count; i++) {
    // Several loopback addresses, so that the ports of one do not run out.
    const socket = net.connect({ port, host: "127.0.0.1", localAddress: `127.0.0.${2 + (i % 4)}` });
    sockets.push(socket);
    if (i % 200 === 199) await once(socket, "connect"); // no more at a time than a listen queue takes
  }
  process.on("message", (bytes: number) => {
    if (bytes > 0) for (const socket of sockets) socket.write(Buffer.alloc(bytes, 1));
    else for (const socket of sockets) socket.destroy();
    if (bytes === 0) process.disconnect();
  });
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  await main(Number(process.argv[2]), Number(process.argv[3]));
}

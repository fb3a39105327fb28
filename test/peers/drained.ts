import { readFileSync } from "node:fs";
import { setImmediate as turn } from "node:timers/promises";
import { until } from "../support/at-rest.ts";

/** So many turns later what was read before has been dealt with. */
const TURNS = 5;

/** Resolves when the system holds no datagram for any of `ports` of this machine, and what was read before has been dealt with. Linux only. */
export async function drained(...ports: readonly number[]): Promise<void> {
  await until(
    () => queuedBytes(ports) === 0,
    () => `${queuedBytes(ports)} bytes are queued`,
  );
  for (let i = 0; i < TURNS; i++) await turn();
}

/** What waits in the kernel's receive queues of `ports`: column rx_queue of /proc/net/udp. */
function queuedBytes(ports: readonly number[]): number {
  const suffixes = ports.map((port) => `:${port.toString(16).toUpperCase().padStart(4, "0")}`);
  const lines = readFileSync("/proc/net/udp", "utf8").split("\n").slice(1);
  return lines.reduce((sum, line) => {
    const [, local = "", , , queue = ""] = line.trim().split(/\s+/);
    const isOurs = suffixes.some((suffix) => local.endsWith(suffix));
    return sum + (isOurs ? Number.parseInt(queue.split(":")[1] ?? "0", 16) : 0);
  }, 0);
}

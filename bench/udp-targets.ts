/**
 * What was promised for receiving UDP, beside what came out.
 */
import { medianOf, ratioTarget } from "./report.ts";
import type { Table, Target } from "./report.ts";

/** Headings of the rows. */
export const ROWS = {
  dgram: "dgram",
  jumbo: "jumbo",
  dropIn: "jumbo/dgram",
  shared: "… shareMemory",
  bun: "Bun",
  c: "c",
  cGro: "C with GRO",
} as const;

/** Headings of the rows of sockets without traffic. */
export const IDLE_ROWS = {
  dgram: "dgram, 1,000",
  dropIn: "jumbo/dgram, 1,000",
  jumbo: "jumbo, 1,000",
  one: "jumbo, 1",
} as const;

export type UdpTables = { readonly plain: Table; readonly small: Table; readonly gso: Table; readonly idle: Table };

const IDLE_CPU_PERCENT_MAX = 1;

export function udpTargets(tables: UdpTables): Target[] {
  return [...plainTargets(tables), ...gsoTargets(tables.gso), ...dropInTargets(tables), ...idleTargets(tables.idle)];
}

function plainTargets({ plain, small }: UdpTables): Target[] {
  const cpu = "CPU per datagram";
  return [
    atMost(`1,400 B: ${cpu} at most 0.55x of dgram`, plain, "cpuUs", ROWS.jumbo, ROWS.dgram, 0.55),
    atMost(`1,400 B: ${cpu} at most 1.05x of Bun`, plain, "cpuUs", ROWS.jumbo, ROWS.bun, 1.05),
    atMost(`1,400 B: ${cpu} at most 1.4x of C`, plain, "cpuUs", ROWS.jumbo, ROWS.c, 1.4),
    atMost(`64 B: ${cpu} at most 0.5x of dgram`, small, "cpuUs", ROWS.jumbo, ROWS.dgram, 0.5),
  ];
}

function gsoTargets(gso: Table): Target[] {
  return [
    atLeast("GSO: at least 20x the rate of dgram", gso, "kiloPerSecond", ROWS.jumbo, ROWS.dgram, 20),
    atLeast("GSO: at least 8x the rate of Bun", gso, "kiloPerSecond", ROWS.jumbo, ROWS.bun, 8),
    atLeast("GSO: at least 0.8x the rate of C with GRO", gso, "kiloPerSecond", ROWS.jumbo, ROWS.cGro, 0.8),
    atMost("GSO: loss at most 1/4 of dgram", gso, "lossPercent", ROWS.jumbo, ROWS.dgram, 1 / 4),
  ];
}

function dropInTargets({ plain, gso }: UdpTables): Target[] {
  const perCpu = "kiloPerCpuSecond";
  return [ROWS.dropIn, ROWS.shared].flatMap((row) => {
    const name = row === ROWS.dropIn ? row : `${ROWS.dropIn}, shareMemory`;
    const cpuText = `${name}, 1,400 B: at least 1.5x the datagrams per CPU second`;
    return [
      atLeast(`${name}, GSO: at least 8x the rate of dgram`, gso, "kiloPerSecond", row, ROWS.dgram, 8),
      atLeast(cpuText, plain, perCpu, row, ROWS.dgram, 1.5),
    ];
  });
}

function idleTargets(idle: Table): Target[] {
  return [IDLE_ROWS.dropIn, IDLE_ROWS.jumbo, IDLE_ROWS.one].map((row) => {
    const cpu = medianOf(idle, row, "cpuPercent");
    const pages = medianOf(idle, row, "pagesInUse");
    const isTold = pages !== undefined;
    const text = `idle, ${row}: ${isTold ? "no page in use, " : ""}under ${IDLE_CPU_PERCENT_MAX}% CPU`;
    if (cpu === undefined) return { text, measured: "not measured", isMet: null };
    return {
      text,
      measured: `${isTold ? `${pages} pages, ` : ""}${cpu.toFixed(2)}% CPU`,
      isMet: (pages ?? 0) === 0 && cpu < IDLE_CPU_PERCENT_MAX,
    };
  });
}

function atMost(text: string, table: Table, figure: string, ours: string, theirs: string, max: number): Target {
  return ratioTarget(text, medianOf(table, ours, figure), medianOf(table, theirs, figure), (ratio) => ratio <= max);
}

function atLeast(text: string, table: Table, figure: string, ours: string, theirs: string, min: number): Target {
  return ratioTarget(text, medianOf(table, ours, figure), medianOf(table, theirs, figure), (ratio) => ratio >= min);
}

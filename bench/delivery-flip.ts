/**
 * Page flip (an exchange) beside the best copy: moving memory into that of a WebAssembly module, by size, alone and with the next filling of the page.
 */
import assert from "node:assert/strict";
import process from "node:process";
import { zeroCopy } from "../src/delivery/index.ts";
import { copyBytes } from "../src/memory/copy-bytes.ts";
import { addressOf } from "../src/os/address-of.ts";
import { loadPageExchange } from "../src/os/page-exchange.ts";
import type { Figures } from "./figures.ts";
import type { Column, Table, Target } from "./report.ts";

declare const WebAssembly: {
  Memory: new (limits: { initial: number; maximum: number; shared: boolean }) => { readonly buffer: SharedArrayBuffer };
};

const KIB = 1024;
const SIZES: readonly number[] = [4, 16, 64, 256, 512, 1024, 2048, 4096, 16_384].map((kib) => kib * KIB);
const LOOPS = 31;

const COLUMNS: readonly Column[] = [
  { figure: "copyUs", heading: "copy us", digits: 1, panel: "copy, µs" },
  { figure: "flipUs", heading: "flip us", digits: 1, panel: "flip, µs" },
  { figure: "speedup", heading: "copy/flip", digits: 2 },
  { figure: "copyFillUs", heading: "copy + fill us", digits: 1 },
  { figure: "flipFillUs", heading: "flip + fill us", digits: 1 },
  { figure: "speedupFill", heading: "copy/flip", digits: 2 },
  { figure: "chosenUs", heading: "as chosen us", digits: 1 },
];

/** Null, with a remark that says why, where pages cannot be flipped. */
export function flipTable(remarks: string[]): Table | null {
  const { pageExchange } = loadPageExchange();
  if (pageExchange === null) {
    remarks.push(`flip is left out: ${zeroCopy.reason}`);
    return null;
  }
  const threshold = zeroCopy.flipMinBytes;
  remarks.push(
    `flipping begins at ${threshold === Infinity ? "no size" : `${threshold / KIB} KiB`}, as measured at first use; a flip is four mremap(2) at 6 to 12 us each, whatever the size: threads on other processors are interrupted for each`,
  );
  const filling = new Uint8Array(Math.max(...SIZES)).fill(1);
  const rows = SIZES.map((size) => {
    // New ones for each size: what was exchanged by smaller pieces lies in several mappings, which are not exchanged as one.
    const [source, target] = [memory(size), memory(size).fill(2)];
    const [from, to] = [addressOf(source), addressOf(target)];
    const [bytes, next] = [source.subarray(0, size), filling.subarray(0, size)];
    const fill = (): void => copyBytes(next, source, 0); // as the kernel does: with a copy, just before
    const copied = mediansUs(fill, () => copyBytes(bytes, target, 0));
    const flipped = mediansUs(fill, () => assert.equal(pageExchange.exchange(from, to, size), 0));
    const medians: Figures = {
      sizeBytes: size,
      copyUs: copied.alone,
      flipUs: flipped.alone,
      speedup: copied.alone / flipped.alone,
      copyFillUs: copied.filled,
      flipFillUs: flipped.filled,
      speedupFill: copied.filled / flipped.filled,
      chosenUs: size >= threshold ? flipped.filled : copied.filled,
    };
    return { name: size < KIB * KIB ? `${size / KIB} KiB` : `${size / KIB / KIB} MiB`, medians, runs: [medians] };
  });
  return { title: "flip or copy: memory into that of a WebAssembly module", baseline: null, columns: COLUMNS, rows };
}

export function flipTargets(table: Table | null): Target[] {
  if (table === null) return [];
  const at = (sizeBytes: number): Figures =>
    table.rows.find(({ medians }) => medians["sizeBytes"] === sizeBytes)?.medians ?? {};
  const speedup = (sizeBytes: number): number => at(sizeBytes)["speedup"] ?? 0;
  const worst = Math.max(...table.rows.map(({ medians }) => (medians["chosenUs"] ?? 0) / (medians["copyFillUs"] ?? 1)));
  const large = Math.min(...SIZES.filter((size) => size >= 2048 * KIB).map(speedup));
  return [
    { text: "flip: never slower than a copy", measured: `${worst.toFixed(2)}x of copy`, isMet: worst <= 1.05 },
    {
      text: "flip: at least 1.5x at 256 KiB",
      measured: `${speedup(256 * KIB).toFixed(2)}x`,
      isMet: speedup(256 * KIB) >= 1.5,
    },
    { text: "flip: at least 2.3x from 2 MiB up", measured: `${large.toFixed(2)}x`, isMet: large >= 2.3 },
  ];
}

function memory(bytes: number): Uint8Array {
  const pages = Math.ceil(bytes / 65_536);
  return new Uint8Array(new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true }).buffer);
}

/** What `move` costs after a `fill`, alone and together with the next `fill`. */
function mediansUs(fill: () => unknown, move: () => unknown): { readonly alone: number; readonly filled: number } {
  const times = Array.from({ length: LOOPS }, () => {
    fill();
    const start = process.hrtime.bigint();
    move();
    const moved = process.hrtime.bigint();
    fill();
    return { alone: usBetween(start, moved), filled: usBetween(start, process.hrtime.bigint()) };
  });
  const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[LOOPS >> 1] ?? Number.NaN;
  return { alone: median(times.map(({ alone }) => alone)), filled: median(times.map(({ filled }) => filled)) };
}

function usBetween(start: bigint, end: bigint): number {
  return Number(end - start) / 1000;
}

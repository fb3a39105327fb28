/**
 * Page flip beside copy: moving memory into that of a WebAssembly module, by size.
 */
import process from "node:process";
import { zeroCopy } from "../src/delivery/index.ts";
import { addressOf } from "../src/os/address-of.ts";
import { loadPageFlip } from "../src/os/page-flip.ts";
import type { Figures } from "./figures.ts";
import type { Column, Table, Target } from "./report.ts";

declare const WebAssembly: {
  Memory: new (limits: { initial: number; maximum: number; shared: boolean }) => { readonly buffer: SharedArrayBuffer };
};

const KIB = 1024;
const SIZES: readonly number[] = [4, 16, 64, 256, 1024, 2048, 4096, 16_384].map((kib) => kib * KIB);
const LOOPS = 15;

const COLUMNS: readonly Column[] = [
  { figure: "copyUs", heading: "copy us", digits: 1, panel: "copy, µs" },
  { figure: "flipUs", heading: "flip us", digits: 1, panel: "flip, µs" },
  { figure: "speedup", heading: "copy/flip", digits: 2 },
  { figure: "chosenUs", heading: "as chosen us", digits: 1 },
];

/** Null, with a remark that says why, where pages cannot be flipped. */
export function flipTable(remarks: string[]): Table | null {
  const { pageFlip } = loadPageFlip();
  if (pageFlip === null) {
    remarks.push(`flip is left out: ${zeroCopy.reason}`);
    return null;
  }
  const threshold = zeroCopy.flipMinBytes;
  remarks.push(
    `flipping begins at ${threshold === Infinity ? "no size" : `${threshold / KIB} KiB`}, as measured at first use`,
  );
  const most = Math.max(...SIZES);
  const [source, target] = [memory(most), memory(most)];
  const [from, to] = [addressOf(source), addressOf(target)];
  const rows = SIZES.map((size) => {
    const fill = (): unknown => source.fill(1, 0, size); // as the kernel leaves it: written just now
    const copyUs = medianUs(fill, () => target.set(source.subarray(0, size)));
    const flipUs = medianUs(fill, () => pageFlip.flip(from, to, size));
    const chosenUs = size >= threshold ? flipUs : copyUs;
    const medians: Figures = { sizeBytes: size, copyUs, flipUs, chosenUs, speedup: copyUs / flipUs };
    return { name: size < KIB * KIB ? `${size / KIB} KiB` : `${size / KIB / KIB} MiB`, medians, runs: [medians] };
  });
  return { title: "flip or copy: memory into that of a WebAssembly module", baseline: null, columns: COLUMNS, rows };
}

export function flipTargets(table: Table | null): Target[] {
  if (table === null) return [];
  const at = (sizeBytes: number): Figures =>
    table.rows.find(({ medians }) => medians["sizeBytes"] === sizeBytes)?.medians ?? {};
  const speedup = (sizeBytes: number): number => at(sizeBytes)["speedup"] ?? 0;
  const worst = Math.max(...table.rows.map(({ medians }) => (medians["chosenUs"] ?? 0) / (medians["copyUs"] ?? 1)));
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
  const pages = bytes / 65_536;
  return new Uint8Array(new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true }).buffer);
}

function medianUs(prepare: () => unknown, action: () => unknown): number {
  const times = Array.from({ length: LOOPS }, () => {
    prepare();
    const start = process.hrtime.bigint();
    action();
    return Number(process.hrtime.bigint() - start) / 1000;
  });
  return times.toSorted((a, b) => a - b)[LOOPS >> 1] ?? Number.NaN;
}

/**
 * A bench's outcome: a table per load on the terminal with ratios and targets, all runs as JSON, a picture.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import type { Measured } from "./alternate.ts";
import { nodeMajor } from "./machine.ts";
import type { Machine } from "./machine.ts";
import { drawPicture } from "./picture.ts";

/** A column of a table; a panel of the picture as well when it has a `panel`. */
export type Column = {
  readonly figure: string;
  readonly heading: string;
  readonly digits: number;
  /** Beside each value: how many times the baseline's it is. */
  readonly hasRatio?: boolean;
  /** What the picture's panel is called. Less is better in all of them. */
  readonly panel?: string;
};

/** Candidates under one load. */
export type Table = {
  readonly title: string;
  /** The candidate that ratios refer to; null for none. */
  readonly baseline: string | null;
  readonly columns: readonly Column[];
  readonly rows: readonly Measured[];
};

/** A figure that was promised, and what came out. `isMet` is null when a side of it was not measured. */
export type Target = { readonly text: string; readonly measured: string; readonly isMet: boolean | null };

export type Report = {
  readonly name: string;
  readonly title: string;
  readonly machine: Machine;
  readonly runCount: number;
  readonly isQuick: boolean;
  readonly tables: readonly Table[];
  readonly targets: readonly Target[];
  /** Candidates left out and why; what one must know to read the table. */
  readonly remarks: readonly string[];
};

export function printReport(report: Report): void {
  for (const table of report.tables) console.log(`${table.title}\n${tableText(table)}\n`);
  for (const { text, measured, isMet } of report.targets) {
    console.log(`  target ${verdictOf(isMet).padEnd(7)}  ${text}: ${measured}`);
  }
  for (const remark of report.remarks) console.log(`  note: ${remark}`);
  console.log("");
}

/** Writes `<name>-node<major>.json` and `.svg`; what was there is replaced. */
export function writeReport(report: Report, folder: string): void {
  mkdirSync(folder, { recursive: true });
  const file = path.join(folder, `${report.name}-node${nodeMajor()}`);
  writeFileSync(`${file}.json`, `${JSON.stringify(report, rounded, 2)}\n`);
  writeFileSync(`${file}.svg`, drawPicture(report));
}

/** A target on a quotient of two figures. */
export function ratioTarget(
  text: string,
  numerator: number | undefined,
  denominator: number | undefined,
  isMet: (ratio: number) => boolean,
): Target {
  if (numerator === undefined || denominator === undefined) return { text, measured: "not measured", isMet: null };
  const ratio = numerator / denominator;
  return { text, measured: `${ratio.toFixed(ratio < 10 ? 3 : 1)}x`, isMet: isMet(ratio) };
}

export function medianOf(table: Table, candidate: string, figure: string): number | undefined {
  return table.rows.find((row) => row.name === candidate)?.medians[figure];
}

function verdictOf(isMet: boolean | null): string {
  if (isMet === null) return "unknown";
  return isMet ? "met" : "MISSED";
}

function tableText(table: Table): string {
  const base = table.rows.find((row) => row.name === table.baseline)?.medians;
  const headings = table.columns.flatMap((column) => (column.hasRatio ? [column.heading, ""] : [column.heading]));
  const lines = [["", ...headings]];
  for (const { name, medians } of table.rows) {
    const cells = table.columns.flatMap(({ figure, digits, hasRatio }) => {
      const value = medians[figure];
      const text = value === undefined ? "-" : value.toFixed(digits);
      return hasRatio ? [text, ratioText(value, base?.[figure])] : [text];
    });
    lines.push([name, ...cells]);
  }
  return aligned(lines);
}

function ratioText(value: number | undefined, base: number | undefined): string {
  if (value === undefined || base === undefined || base === 0) return "";
  const ratio = value / base;
  return `${ratio.toFixed(ratio < 0.1 ? 3 : 2)}x`;
}

/** The first column to the left, figures to the right. */
function aligned(lines: readonly (readonly string[])[]): string {
  const widths = (lines[0] ?? []).map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  return lines
    .map((line) => line.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))))
    .map((cells) => `  ${cells.join("  ").trimEnd()}`)
    .join("\n");
}

/** Four significant digits are more than the noise leaves, and keep the JSON readable. */
function rounded(_key: string, value: unknown): unknown {
  if (typeof value !== "number" || Number.isInteger(value)) return value;
  return Number(value.toPrecision(4));
}

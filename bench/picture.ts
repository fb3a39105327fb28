/**
 * A bench's outcome as one SVG: a row of panels per load, a bar per candidate, the value at each bar's end.
 *
 *     title
 *     ┌ load 1: figure ┐ ┌ load 1: figure ┐ …       less is better everywhere
 *     └────────────────┘ └────────────────┘
 *     machine
 */
import * as echarts from "echarts";
import { machineLine } from "./machine.ts";
import type { Column, Report, Table } from "./report.ts";

type Panel = { readonly table: Table; readonly column: Column; readonly isFirst: boolean };
type Box = { readonly left: number; readonly top: number; readonly width: number; readonly height: number };

const WIDTH = 1200;
const MARGIN = 24;
const NAMES = 150;
/** Room at the end of the longest bar for its value. */
const VALUES = 70;
const HEAD = 76;
const ROW_HEAD = 62;
const BAR = 24;
const FOOT = 44;
const COLOURS = { jumbo: "#1f6feb", c: "#9aa4b2", other: "#d9894a" };
const TEXT = "#24292f";
const FONT = "Helvetica, Arial, sans-serif";

export function drawPicture(report: Report): string {
  const panels: Panel[] = [];
  const boxes: Box[] = [];
  let top = HEAD;
  for (const table of report.tables) {
    const columns = table.columns.filter((column) => column.panel !== undefined);
    const height = table.rows.length * BAR;
    const width = (WIDTH - 2 * MARGIN) / columns.length;
    for (const [i, column] of columns.entries()) {
      panels.push({ table, column, isFirst: i === 0 });
      boxes.push({ left: MARGIN + i * width + NAMES, top: top + ROW_HEAD, width: width - NAMES - VALUES, height });
    }
    top += ROW_HEAD + height;
  }
  return render(report, panels, boxes, top + FOOT);
}

function render(report: Report, panels: readonly Panel[], boxes: readonly Box[], height: number): string {
  const chart = echarts.init(null, null, { renderer: "svg", ssr: true, width: WIDTH, height });
  chart.setOption({
    animation: false,
    backgroundColor: "#ffffff",
    textStyle: { fontFamily: FONT, color: TEXT },
    title: [...headings(report, height), ...panels.flatMap((panel, i) => panelTitles(panel, boxes[i]))],
    grid: boxes.map((box) => ({ ...box, containLabel: false })),
    xAxis: panels.map((_, gridIndex) => ({ type: "value", gridIndex, show: false, min: 0 })),
    yAxis: panels.map((panel, gridIndex) => ({
      type: "category",
      gridIndex,
      inverse: true,
      data: panel.table.rows.map((row) => row.name),
      axisTick: { show: false },
      axisLine: { lineStyle: { color: "#8c959f" } },
      axisLabel: { color: TEXT, fontSize: 12, interval: 0 },
    })),
    series: panels.map((panel, i) => bars(panel, i)),
  });
  const svg = chart.renderToSVGString();
  chart.dispose();
  return `${svg}\n`;
}

function bars(panel: Panel, index: number): object {
  const { table, column } = panel;
  return {
    type: "bar",
    xAxisIndex: index,
    yAxisIndex: index,
    barWidth: "64%",
    data: table.rows.map((row) => {
      const value = row.medians[column.figure];
      return {
        value: value ?? 0,
        itemStyle: { color: colourOf(row.name) },
        label: { formatter: value === undefined ? "none" : value.toFixed(column.digits) },
      };
    }),
    label: { show: true, position: "right", color: TEXT, fontSize: 12 },
  };
}

function headings(report: Report, height: number): object[] {
  const runs = `medians of ${report.runCount} alternating runs${report.isQuick ? ", QUICK: not for comparison" : ""}`;
  return [
    { text: report.title, left: MARGIN, top: 16, textStyle: { fontSize: 20, color: TEXT } },
    {
      text: `${runs}; less is better in every panel`,
      left: MARGIN,
      top: 44,
      textStyle: { fontSize: 13, fontWeight: "normal", color: "#57606a" },
    },
    {
      text: machineLine(report.machine),
      left: MARGIN,
      top: height - 30,
      textStyle: { fontSize: 11, fontWeight: "normal", color: "#57606a" },
    },
  ];
}

/** The load's title once a row, the figure's above each panel. */
function panelTitles(panel: Panel, box: Box | undefined): object[] {
  if (box === undefined) return [];
  const figure = {
    text: panel.column.panel,
    left: box.left,
    top: box.top - 26,
    textStyle: { fontSize: 12, fontWeight: "normal", color: "#57606a" },
  };
  if (!panel.isFirst) return [figure];
  const load = { text: panel.table.title, left: MARGIN, top: box.top - 50, textStyle: { fontSize: 14, color: TEXT } };
  return [load, figure];
}

function colourOf(name: string): string {
  if (name.startsWith("jumbo")) return COLOURS.jumbo;
  return name === "c" || name.startsWith("C ") ? COLOURS.c : COLOURS.other;
}

import { styleText } from "node:util";

type Style = Parameters<typeof styleText>[0];

/** What is compared, and how it is shown. */
export type Row<Result> = readonly [what: string, show: (result: Result) => string];

const LABEL_WIDTH = 26;
const COLUMN_WIDTH = 18;

/** Two results beside one another. */
export function describeTable<Result>(
  heads: readonly [string, string],
  rows: readonly Row<Result>[],
  ours: Result,
  theirs: Result,
): string {
  const lines = rows.map(([what, show]) => line(what, show(ours), show(theirs)));
  return [styled("bold", line("", ...heads)), ...lines].join("\n");
}

function line(what: string, ours: string, theirs: string): string {
  return `  ${what.padEnd(LABEL_WIDTH)}${ours.padStart(COLUMN_WIDTH)}${theirs.padStart(COLUMN_WIDTH)}`;
}

export function describeRight(text: string): string {
  return `  ${styled("green", "right")}  ${text}`;
}

export function describeWrong(text: string): string {
  return `  ${styled("red", "WRONG")}  ${text}; please report it`;
}

export function describeNext(): string {
  const command = process.env["npm_lifecycle_event"] === "start" ? "npm start --" : "jumbo";
  return [
    `  ${styled("bold", "next")}`,
    `  ${command} recv tcp://127.0.0.1:9000 -o out.bin      receive a file, and from another terminal send one:`,
    `  socat -u FILE:big.bin TCP:127.0.0.1:9000`,
    `  ${command} recv udp://127.0.0.1:5514 --framing lines -o -    print datagrams:  logger -n 127.0.0.1 -P 5514 -d hello`,
    `  ${command} recv --help                               TLS, Unix sockets, folders, captures, JSON`,
  ].join("\n");
}

/** Plain on a pipe, and for those who ask for it. */
export function styled(style: Style, text: string): string {
  return process.stdout.isTTY && process.env["NO_COLOR"] === undefined ? styleText(style, text) : text;
}

import { fork } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { availableParallelism } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { runtimeFailure } from "./failure.ts";
import { formatBytes, formatMemory } from "./quantities.ts";
import { Terminal } from "./terminal.ts";
import { TOUR_BYTES } from "./tour-content.ts";
import type { TourMessage, TourResult, TourWay } from "./tour-receiver.ts";
import { describeComparison, describeNext, describePool, describeVerdict, isRight } from "./tour-report.ts";
import { VERSION } from "./version.ts";

const WAY_MS_MAX = 60_000;
const BAR_WIDTH = 30;

/**
 * `jumbo` without a command: one GiB over loopback, received with jumbo and then with plain `net`, each in a process of its own
 * so that neither pays for the other. Resolves with 0 when both digests are right and every page is back.
 */
export async function tour(): Promise<number> {
  process.stdout.on("error", () => {}); // a reader that has seen enough
  const terminal = new Terminal(true);
  print(`jumbo ${VERSION}, Node ${process.version}, ${availableParallelism()} processors`);
  print(
    `\n${formatMemory(TOUR_BYTES)} over loopback TCP, its SHA-256 taken as it arrives. The sender, jumbo and plain net are a process each.\n`,
  );
  const jumbo = await receiveOnce("jumbo", terminal);
  const net = await receiveOnce("net", terminal);
  print(describeComparison(jumbo, net));
  print(`\n${describePool(jumbo)}`);
  print(`\n${describeVerdict(jumbo, net)}`);
  print(`\n${describeNext()}`);
  return isRight(jumbo) && isRight(net) ? 0 : 1;
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** Runs a receiver and its sender. @throws Failure */
async function receiveOnce(way: TourWay, terminal: Terminal): Promise<TourResult> {
  let bytes = 0;
  terminal.startLive(() => bar(way, bytes));
  const receiver = start("tour-receiver", way);
  let sender: ChildProcess | null = null;
  const timer = setTimeout(() => receiver.kill("SIGKILL"), WAY_MS_MAX);
  try {
    return await new Promise((resolve, reject) => {
      receiver.on("message", (message) => {
        const news = message as TourMessage; // from tour-receiver.ts, which sends nothing else
        if (news.kind === "listening") sender = start("tour-sender", String(news.port));
        else if (news.kind === "progress") ({ bytes } = news);
        else resolve(news);
      });
      receiver.on("error", reject);
      receiver.on("exit", () =>
        reject(runtimeFailure(`the ${way} receiver did not come to its end; run it again, or report it`)),
      );
    });
  } finally {
    clearTimeout(timer);
    terminal.endLive();
    for (const child of [receiver, sender]) if (child?.connected === true) child.disconnect();
  }
}

/** A module beside this one, in whichever form this one is. */
function start(module: string, argument: string): ChildProcess {
  const here = fileURLToPath(import.meta.url);
  return fork(path.join(path.dirname(here), module + path.extname(here)), [argument], { execArgv: [] });
}

function bar(way: TourWay, bytes: number): string {
  const done = Math.round((bytes / TOUR_BYTES) * BAR_WIDTH);
  return `  ${way.padEnd(6)} ${"█".repeat(done)}${"░".repeat(BAR_WIDTH - done)} ${formatBytes(bytes)}`;
}

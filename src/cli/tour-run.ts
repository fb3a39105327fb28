import { fork } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { runtimeFailure } from "./failure.ts";
import type { Terminal } from "./terminal.ts";
import type { TourListening, TourProgress, TourSent } from "./tour-messages.ts";

/** One transfer: two modules beside this one, a process each. */
export type TourRun = {
  readonly receiver: string;
  /** The receiver's argument, and its name on the terminal. */
  readonly way: string;
  readonly sender: string;
  /** What the receiver's progress counts up to. */
  readonly total: number;
  readonly describeProgress: (done: number) => string;
};

const WAY_MS_MAX = 60_000;
const BAR_WIDTH = 30;

/**
 * Runs a receiver and, when that listens, its sender.
 *
 *     receiver ──listening──▶ here ──starts──▶ sender ──sent──▶ here ──sent──▶ receiver ──result──▶ here
 *
 * @throws Failure when no result comes
 */
export async function runTransfer<Result extends { readonly kind: "result" }>(
  run: TourRun,
  terminal: Terminal,
): Promise<Result> {
  let done = 0;
  terminal.startLive(() => bar(run, done));
  const receiver = start(run.receiver, [run.way]);
  let sender: ChildProcess | null = null;
  const timer = setTimeout(() => receiver.kill("SIGKILL"), WAY_MS_MAX);
  try {
    return await new Promise((resolve, reject) => {
      receiver.on("message", (message) => {
        const news = message as TourListening | TourProgress | Result; // of tour-messages.ts, or what the receiver's module ends with
        if (news.kind === "result") return resolve(news);
        if (news.kind === "progress") return void ({ done } = news);
        sender = start(run.sender, news.senderArguments);
        sender.on("message", (sent: TourSent) => void receiver.send(sent)); // it says nothing else
      });
      receiver.on("error", reject);
      receiver.on("exit", () =>
        reject(runtimeFailure(`the ${run.way} receiver did not come to its end; run it again, or report it`)),
      );
    });
  } finally {
    clearTimeout(timer);
    terminal.endLive();
    for (const child of [receiver, sender]) if (child?.connected === true) child.disconnect();
  }
}

/** A module beside this one, in whichever form this one is. */
function start(module: string, args: readonly string[]): ChildProcess {
  const here = fileURLToPath(import.meta.url);
  return fork(path.join(path.dirname(here), module + path.extname(here)), args, { execArgv: [] });
}

function bar({ way, total, describeProgress }: TourRun, done: number): string {
  const filled = Math.round((Math.min(done, total) / total) * BAR_WIDTH);
  return `  ${way.padEnd(6)} ${"█".repeat(filled)}${"░".repeat(BAR_WIDTH - filled)} ${describeProgress(done)}`;
}

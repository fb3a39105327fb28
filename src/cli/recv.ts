import { isatty } from "node:tty";
import type { JumboPool } from "../index.ts";
import { enginesFor } from "./engines.ts";
import { codeOf, reasonOf, runtimeFailure } from "./failure.ts";
import { FolderOutput } from "./folder-output.ts";
import { FRAMING_DEFAULT, framingCalled } from "./framing.ts";
import type { Listen, ListenContext } from "./listening.ts";
import { Meter } from "./meter.ts";
import { OneFileOutput, STDOUT } from "./one-file-output.ts";
import { OutputFile } from "./output-file.ts";
import { CountingOutput } from "./output.ts";
import type { Output, OutputOptions } from "./output.ts";
import { liveLine } from "./progress.ts";
import { formatCount } from "./quantities.ts";
import { checkTogether, poolFor } from "./recv-options.ts";
import type { RecvOptions } from "./recv-options.ts";
import { kindsOf, parseUrl } from "./schemes.ts";
import { Session } from "./session.ts";
import { endBySignals } from "./signals.ts";
import { describeReport, reportOf } from "./summary.ts";
import { Terminal } from "./terminal.ts";

const UNWRITTEN_BYTES_MAX = 8 * 2 ** 20;
const WAITING_MAX = 256;

/**
 * Receives until it is told to end, and reports. Resolves with the exit code.
 *
 *     parse ──▶ open the output ──▶ listen ──▶ empty the output ──▶ receive … finish ──▶ report
 *     everything that can be wrong is found before anything of the user's is touched
 *
 * @throws Failure when it cannot begin
 */
export async function recv(urls: readonly string[], options: RecvOptions): Promise<number> {
  const listens = urls.map(parseUrl);
  checkTogether(urls, options);
  const kinds = kindsOf(urls);
  const engine = enginesFor(options.engine, kinds);
  const framing = framingCalled(options.framing ?? FRAMING_DEFAULT);
  const pool = poolFor(options);
  const terminal = new Terminal(options.output !== "-" || !isatty(1));
  const print = (text: string): void => terminal.line(text);
  const output = await openOutput(options.output, print, {
    ...outputLimits(pool),
    onFailed: (failure) => session.fail(failure),
    onReaderGone: () => session.finish("reader gone"),
    notice: (text) => session.say("news", text),
  });
  const isOnce = options.once === true;
  const session: Session = new Session({ pool, engine, output, framing, gro: options.gro, isOnce, print });
  const boundUrls = await listenAll(listens, session, { certFile: options.cert, keyFile: options.key, print }, output);
  const meter = new Meter();
  output.begin();
  session.begin();
  const end = runToEnd(session, output, terminal, options.duration); // whoever reads the next lines may send a signal at once
  for (const url of boundUrls) print(`listening on ${url}`);
  terminal.startLive(liveLine(session, pool, kinds));
  await end;
  terminal.endLive();
  await output.close();

  const report = reportOf(session, boundUrls, output, pool, meter.cost());
  meter.stop();
  pool.close({ force: true });
  if (options.json === true) await printJson(report);
  else print(describeReport(report));
  return report.exitCode;
}

/** The pool is shared by all connections: one slow file must not have it all, nor the first bytes of those that wait. */
function outputLimits({ pageSizeBytes, pagesMax }: JumboPool): Pick<OutputOptions, "unwrittenBytesMax" | "waitingMax"> {
  return {
    unwrittenBytesMax: Math.min(UNWRITTEN_BYTES_MAX, Math.ceil(pagesMax / 4) * pageSizeBytes),
    waitingMax: Math.min(WAITING_MAX, Math.ceil(pagesMax / 8)),
  };
}

async function openOutput(
  name: string | undefined,
  notice: (text: string) => void,
  options: OutputOptions,
): Promise<Output> {
  if (name === undefined) return new CountingOutput();
  if (name === "-") return new OneFileOutput(STDOUT, options);
  if (name.endsWith("/")) return FolderOutput.open(name, options);
  return new OneFileOutput(await OutputFile.open(name, notice), options);
}

/** All or none. */
async function listenAll(
  listens: readonly Listen[],
  session: Session,
  options: Pick<ListenContext, "certFile" | "keyFile"> & { readonly print: (text: string) => void },
  output: Output,
): Promise<string[]> {
  const context: ListenContext = {
    ...options,
    socketOptions: {},
    onSocket: (socket, peer) => session.accept(socket, peer),
    receiveDatagrams: (url, bind) => session.receiveDatagrams(url, bind),
    onRefused: (text) => session.refused(text),
    notice: options.print,
  };
  const urls: string[] = [];
  try {
    for (const listen of listens) {
      const listening = await listen(context);
      session.add(listening);
      urls.push(listening.url);
    }
    return urls;
  } catch (error) {
    session.finish("failure");
    await session.done;
    await output.abandon();
    throw error;
  }
}

/** Resolves when the session is done: by itself, by a signal, or because its time is over. */
async function runToEnd(
  session: Session,
  output: Output,
  terminal: Terminal,
  durationSeconds: number | undefined,
): Promise<void> {
  const release = endBySignals({
    first: (signal) => {
      session.finish(signal);
      if (output.unwrittenBytes > 0) terminal.line(`${signal}: writing what has arrived; again to end at once`);
    },
    second: (signal) =>
      terminal.line(
        `second ${signal}: ended at once, ${formatCount(output.unwrittenBytes)} received bytes are not written`,
      ),
  });
  const timer =
    durationSeconds === undefined ? null : setTimeout(() => session.finish("duration"), durationSeconds * 1000);
  await session.done;
  if (timer !== null) clearTimeout(timer);
  release();
}

/** Standard output may be a pipe that nobody reads any more: then there is nobody to tell. @throws Failure when it is worse than that */
async function printJson(report: unknown): Promise<void> {
  process.stdout.on("error", () => {}); // told below
  const error = await new Promise((resolve) => process.stdout.write(`${JSON.stringify(report)}\n`, resolve));
  if (error instanceof Error && codeOf(error) !== "EPIPE") {
    throw runtimeFailure(`the report cannot be written to standard output: ${reasonOf(error)}`, error);
  }
}

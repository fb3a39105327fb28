import type { JumboPool, PoolStats } from "../index.ts";
import { codeOf, reasonOf, runtimeFailure } from "./failure.ts";
import { Meter } from "./meter.ts";
import type { Cost } from "./meter.ts";
import { countOf, formatBytes, formatCount, formatMemory, formatRate, formatSeconds } from "./quantities.ts";
import { checkRelayOptions, relayEngineCalled, relayPool } from "./relay-options.ts";
import type { RelayCommandOptions } from "./relay-options.ts";
import { RelaySession } from "./relay-session.ts";
import type { RelayTotals } from "./relay-session.ts";
import { parseConnectionUrl, parseTarget } from "./schemes.ts";
import { endBySignals } from "./signals.ts";
import type { EndSignal } from "./signals.ts";
import { Terminal } from "./terminal.ts";
import { VERSION } from "./version.ts";

/** Under the options of `jumbo relay --help`. */
export const RELAY_HELP = `
Accepts connections at <from>, makes one to <to> for each, and moves the bytes both ways. A side that ends ends the other's
that way only; one that is reset resets the other. Bytes go by splice(2) from socket to socket where the kernel can do that
(Linux, with koffi), else, and always with TLS, through pages. "listening on URL" on standard error says that connections are accepted.

Where:
  tcp://host:port    [::1]:port for IPv6; :port, or port alone, is 127.0.0.1; to listen, port 0 is any free one
  tls://host:port    the same. To listen it takes --cert and --key. To connect, the target's certificate must be good for the host in the
                     URL, or for --servername, and be signed by somebody Node trusts, or by --cacert; who fails that is given no byte.
  unix:///path       to listen, a socket is made there; one that a dead process has left is replaced

When it ends:
  With Ctrl-C (SIGINT) all connections are cut. With SIGTERM nobody more is accepted, and it ends with the last connection.
  A second signal ends at once. With --duration all connections are cut.

A connection that fails (a handshake, on either side; a target that cannot be reached; a reset) ends alone, with a line.

Exit codes: 0 ended as asked (connections that failed are reported and counted), 1 it cannot listen, or a file of certificates be used,
2 the command line makes no sense.

Examples:
  jumbo relay tcp://127.0.0.1:9000 tcp://127.0.0.1:9001
    socat TCP-LISTEN:9001,bind=127.0.0.1 OPEN:out.bin,creat,trunc    the target
    socat -u FILE:big.bin TCP:127.0.0.1:9000                         a client
  jumbo relay tcp://0.0.0.0:5432 unix:///run/postgresql/.s.PGSQL.5432
  jumbo relay tls://:8443 tcp://:8080 --cert cert.pem --key key.pem      TLS for a server that has none
    curl --cacert cert.pem https://localhost:8443/
  jumbo relay tcp://:6380 tls://redis.example.org:6379                   and for a client that has none
`;

type EndedBy = EndSignal | "duration";

/** What `--json` prints: one object. Keys are only ever added. */
type RelayReport = RelayTotals &
  Cost & {
    readonly version: string;
    readonly node: string;
    readonly from: string;
    readonly to: string;
    readonly endedBy: EndedBy | null;
    readonly seconds: number;
    readonly bytesPerSecond: number;
    readonly pool: PoolStats;
  };

/**
 * Relays until it is told to end, and reports. Resolves with the exit code.
 * @throws Failure when it cannot begin
 */
export async function relayCommand(fromUrl: string, toUrl: string, options: RelayCommandOptions): Promise<number> {
  const listen = parseConnectionUrl(fromUrl);
  const to = parseTarget(toUrl, options);
  checkRelayOptions(fromUrl, toUrl, options);
  const engine = relayEngineCalled(options.engine);
  const pool = relayPool(options);
  const terminal = new Terminal(true);
  const print = (text: string): void => terminal.line(text);
  const session = new RelaySession({ pool, engine, to, print });
  const url = await session.listen(listen, options);
  const meter = new Meter();
  const startMs = performance.now();
  print(`relaying to ${to.url}\nlistening on ${url}`);
  terminal.startLive(() => liveLine(session.totals(), pool));
  const endedBy = await runToEnd(session, print, options.duration);
  terminal.endLive();
  const seconds = (performance.now() - startMs) / 1000;
  const totals = session.totals();
  const bytesPerSecond = Math.round((totals.bytesUp + totals.bytesDown) / seconds);
  const names = { version: VERSION, node: process.version, from: url, to: to.url };
  const report = { ...names, endedBy, ...totals, seconds, bytesPerSecond, pool: pool.stats(), ...meter.cost() };
  meter.stop();
  pool.close({ force: true });
  if (options.json === true) await printJson(report);
  else print(describe(report));
  return 0;
}

/** Resolves when the session is done: told to end by a signal, or because its time is over. */
async function runToEnd(
  session: RelaySession,
  print: (text: string) => void,
  durationSeconds: number | undefined,
): Promise<EndedBy | null> {
  let endedBy: EndedBy | null = null;
  const release = endBySignals({
    first: (signal) => {
      endedBy = signal;
      if (signal === "SIGINT") return session.cut();
      session.drain();
      const { connectionsOpen } = session.totals();
      if (connectionsOpen > 0)
        print(`${signal}: ${countOf(connectionsOpen, "connection")} to the end; again to end at once`);
    },
    second: (signal) =>
      print(`second ${signal}: ended at once, ${countOf(session.totals().connectionsOpen, "connection")} cut`),
  });
  const timer =
    durationSeconds === undefined
      ? null
      : setTimeout(() => ((endedBy = "duration"), session.cut()), durationSeconds * 1000);
  await session.done;
  if (timer !== null) clearTimeout(timer);
  release();
  return endedBy;
}

function liveLine({ connectionsOpen, bytesUp, bytesDown, failures }: RelayTotals, pool: JumboPool): string {
  const { inUse, pagesMax } = pool.stats();
  return [
    `${countOf(connectionsOpen, "connection")} open`,
    `${formatBytes(bytesUp)} up`,
    `${formatBytes(bytesDown)} down`,
    countOf(failures, "failure"),
    `${formatCount(inUse)}/${formatCount(pagesMax)} pages`,
  ].join("  ");
}

/** The same for people, a few lines. */
function describe(report: RelayReport): string {
  const { bytesUp, bytesDown, connections, failures, seconds, engines, pauses, pool, cpu, gc } = report;
  const used = Object.entries(engines).map(([name, reason]) => (reason === null ? name : `${name} (${reason})`));
  const failed = failures === 0 ? "" : `, ${countOf(failures, "failure")}`;
  const rest = pool.inUse === 0 ? "all are back" : `${formatCount(pool.inUse)} ARE NOT BACK, please report it`;
  return [
    `relayed ${formatBytes(bytesUp)} up, ${formatBytes(bytesDown)} down, over ${countOf(connections, "connection")}${failed}` +
      ` in ${formatSeconds(seconds)}: ${formatRate(bytesUp + bytesDown, seconds)}`,
    `engine ${used.join(", ") || "none"}, ${countOf(pauses, "pause")}; ` +
      `${formatMemory(pool.pageSizeBytes)} pages: ${formatCount(pool.inUsePeak)} of ${formatCount(pool.pagesMax)} in use at most, ${rest}`,
    `cpu ${formatSeconds(cpu.userSeconds)} user, ${formatSeconds(cpu.systemSeconds)} system; ` +
      `gc ${countOf(gc.count, "time")}, ${gc.milliseconds.toFixed(1)} ms; ${formatMemory(report.rssMaxBytes)} resident at most`,
  ].join("\n");
}

/** Standard output may be a pipe that nobody reads any more: then there is nobody to tell. @throws Failure when it is worse than that */
async function printJson(report: RelayReport): Promise<void> {
  process.stdout.on("error", () => {}); // told below
  const error = await new Promise((resolve) => process.stdout.write(`${JSON.stringify(report)}\n`, resolve));
  if (error instanceof Error && codeOf(error) !== "EPIPE") {
    throw runtimeFailure(`the report cannot be written to standard output: ${reasonOf(error)}`, error);
  }
}

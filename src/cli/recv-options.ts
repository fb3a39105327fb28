import { JumboError, JumboPool } from "../index.ts";
import { usageFailure } from "./failure.ts";
import { kindsOf, schemeOf } from "./schemes.ts";

/** `jumbo recv`, as the command line gives it. */
export type RecvOptions = {
  readonly output?: string;
  readonly framing?: string;
  readonly pageSize: number;
  readonly pages?: number;
  readonly once?: boolean;
  readonly duration?: number;
  readonly json?: boolean;
  readonly engine: string;
  readonly gro?: boolean;
  readonly cert?: string;
  readonly key?: string;
};

/** Of the pool, when `--pages` is not given. */
export const POOL_BYTES_DEFAULT: number = 64 * 2 ** 20;
/** Many datagrams that the kernel hands over as one are up to 64 KiB. */
const GRO_PAGE_BYTES = 65_536;

/**
 * Finds what makes no sense in the options together with one another, and with the URLs, all of which were understood.
 * @throws Failure
 */
export function checkTogether(urls: readonly string[], options: RecvOptions): void {
  checkOutput(options);
  if ((options.cert ?? options.key) !== undefined && !urls.some((url) => schemeOf(url) === "tls")) {
    throw usageFailure(
      "--cert and --key are for tls:// and there is no such URL; write tls:// for tcp://, or leave them away",
    );
  }
  const { hasConnections, hasDatagrams } = kindsOf(urls);
  if (hasDatagrams) checkForDatagrams(hasConnections, options);
  else checkWithoutDatagrams(options);
}

function checkOutput({ output, json }: RecvOptions): void {
  if (output === "")
    throw usageFailure("-o needs the name of a file; - is standard output, FOLDER/ a file for each connection");
  if (output === "-" && json === true) {
    throw usageFailure(
      "--json prints on standard output, where -o - puts the received bytes: write them to a file, or leave --json away",
    );
  }
}

function checkForDatagrams(hasConnections: boolean, { output, framing, gro, pageSize }: RecvOptions): void {
  if (framing !== undefined && output === undefined) {
    throw usageFailure("--framing says how datagrams are written, and they are only counted; say where with -o FILE");
  }
  if (gro === true && pageSize < GRO_PAGE_BYTES) {
    throw usageFailure(
      `--gro needs pages of 64 KiB, into which the kernel puts many datagrams: leave --page-size away`,
    );
  }
  if (hasConnections && output !== undefined && !output.endsWith("/")) {
    throw usageFailure(
      `connections take turns at ${output === "-" ? "standard output" : output}, and udp:// never ends, so they would wait for ever: ` +
        "write to FOLDER/, or run two commands",
    );
  }
}

function checkWithoutDatagrams({ framing, gro }: RecvOptions): void {
  const option = framing !== undefined ? "--framing" : gro === undefined ? null : gro ? "--gro" : "--no-gro";
  if (option === null) return;
  throw usageFailure(`${option} is for udp:// and there is no such URL; write udp:// for tcp://, or leave it away`);
}

/** @throws Failure */
export function poolFor({ pageSize, pages }: RecvOptions): JumboPool {
  try {
    const pagesMax = pages ?? Math.floor(POOL_BYTES_DEFAULT / pageSize);
    return new JumboPool({ pageSizeBytes: pageSize, pagesMax, stolenMax: 0 });
  } catch (error) {
    if (!(error instanceof JumboError)) throw error;
    throw usageFailure(error.message.replace("pageSizeBytes", "--page-size").replace("pagesMax", "--pages"));
  }
}

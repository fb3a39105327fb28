import { isIP } from "node:net";
import { JumboError, JumboPool } from "../index.ts";
import type { RelayEngine } from "../delivery/index.ts";
import { usageFailure } from "./failure.ts";
import { schemeOf } from "./schemes.ts";
import { didYouMean } from "./suggestion.ts";
import type { TargetOptions } from "./target.ts";

/** `jumbo relay`, as the command line gives it. */
export type RelayCommandOptions = TargetOptions & {
  readonly pages?: number;
  readonly pageSize: number;
  readonly duration?: number;
  readonly json?: boolean;
  readonly engine: string;
  readonly cert?: string;
  readonly key?: string;
};

export const RELAY_ENGINES: readonly string[] = ["auto", "splice", "pages"];

const POOL_BYTES_DEFAULT = 64 * 2 ** 20;

/**
 * Finds what makes no sense in the options together with the URLs, both of which were understood.
 * @throws Failure
 */
export function checkRelayOptions(fromUrl: string, toUrl: string, options: RelayCommandOptions): void {
  const { cert, key, cacert, servername, insecure, engine } = options;
  const [fromTls, toTls] = [fromUrl, toUrl].map((url) => schemeOf(url) === "tls");
  if ((cert ?? key) !== undefined && fromTls !== true)
    throw usageFailure(
      "--cert and --key are for listening on tls://; write tls:// for the first URL, or leave them away",
    );
  if ((cacert ?? servername ?? insecure) !== undefined && toTls !== true) {
    throw usageFailure(
      "--cacert, --servername and --insecure are for connecting to tls://; write tls:// for the second URL, or leave them away",
    );
  }
  if (insecure === true && cacert !== undefined)
    throw usageFailure(
      "--insecure says that no certificate is checked, and --cacert how it is: leave one of them away",
    );
  if (servername !== undefined && isIP(servername) !== 0)
    throw usageFailure(
      `--servername ${servername} is an address; it takes a name, and an address is checked without it`,
    );
  if (engine === "splice" && (fromTls === true || toTls === true))
    throw usageFailure("--engine splice cannot be had with tls://: Node has to encrypt; leave it away, or use pages");
}

/** @throws Failure */
export function relayEngineCalled(name: string): "auto" | RelayEngine {
  if (name === "auto" || name === "splice" || name === "pages") return name;
  throw usageFailure(
    `there is no engine ${name}${didYouMean(name, RELAY_ENGINES)}; --engine takes ${RELAY_ENGINES.join(", ")}`,
  );
}

/** @throws Failure */
export function relayPool({ pageSize, pages }: RelayCommandOptions): JumboPool {
  try {
    const pagesMax = pages ?? Math.floor(POOL_BYTES_DEFAULT / pageSize);
    return new JumboPool({ pageSizeBytes: pageSize, pagesMax, stolenMax: 0 });
  } catch (error) {
    if (!(error instanceof JumboError)) throw error;
    throw usageFailure(error.message.replace("pageSizeBytes", "--page-size").replace("pagesMax", "--pages"));
  }
}

import { JumboError, JumboPool } from "../index.ts";
import type { RelayEngine } from "../delivery/index.ts";
import { usageFailure } from "./failure.ts";
import { formatHostPort, parseHostPort } from "./host-port.ts";
import { didYouMean } from "./suggestion.ts";

/** `jumbo relay`, as the command line gives it. */
export type RelayCommandOptions = {
  readonly pages?: number;
  readonly pageSize: number;
  readonly duration?: number;
  readonly json?: boolean;
  readonly engine: string;
};

/** One end of the relay: as `net` takes it, and as it is printed. */
export type Endpoint = { readonly url: string } & (
  | { readonly kind: "tcp"; readonly host: string; readonly port: number }
  | { readonly kind: "unix"; readonly path: string }
);

export const RELAY_ENGINES: readonly string[] = ["auto", "splice", "pages"];

const POOL_BYTES_DEFAULT = 64 * 2 ** 20;

/** @throws Failure */
export function parseEndpoint(url: string): Endpoint {
  const [, scheme = "", rest = ""] = /^([a-z]+):\/\/(.*)$/is.exec(url) ?? [];
  if (scheme.toLowerCase() === "tcp") {
    const where = parseHostPort(url, rest);
    return { kind: "tcp", url: `tcp://${formatHostPort(where)}`, ...where };
  }
  if (scheme.toLowerCase() === "unix" && rest.startsWith("/")) return { kind: "unix", url, path: rest };
  throw usageFailure(`${url}: jumbo relay knows tcp://host:port and unix:///path`);
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

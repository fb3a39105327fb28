import { usageFailure } from "./failure.ts";
import type { Listen } from "./listening.ts";
import { didYouMean } from "./suggestion.ts";
import { parseTcp } from "./tcp-scheme.ts";
import { parseTls } from "./tls-scheme.ts";
import { parseUdp } from "./udp-scheme.ts";
import { parseUnix } from "./unix-scheme.ts";

/** Understands `url`, of which `rest` is what follows the `scheme://`. @throws Failure */
export type ParseUrl = (url: string, rest: string) => Listen;

type Scheme = { readonly parse: ParseUrl; readonly brings: "connections" | "datagrams" };

/** Where bytes can come from. A further scheme is a file of its own and a line here. */
const SCHEMES: ReadonlyMap<string, Scheme> = new Map<string, Scheme>([
  ["tcp", { parse: parseTcp, brings: "connections" }],
  ["tls", { parse: parseTls, brings: "connections" }],
  ["unix", { parse: parseUnix, brings: "connections" }],
  ["udp", { parse: parseUdp, brings: "datagrams" }],
]);

/** What is to be expected of some URLs. */
export type Kinds = { readonly hasConnections: boolean; readonly hasDatagrams: boolean };

/** Of URLs that were understood. */
export function kindsOf(urls: readonly string[]): Kinds {
  const brought = urls.map((url) => SCHEMES.get(schemeOf(url))?.brings);
  return { hasConnections: brought.includes("connections"), hasDatagrams: brought.includes("datagrams") };
}

/**
 * What to listen on.
 * @throws Failure
 */
export function parseUrl(url: string): Listen {
  const match = /^([a-z][a-z0-9+.-]*):\/\/(.*)$/is.exec(url);
  if (match === null) throw usageFailure(`${url} is no URL: ${guess(url)}`);
  const scheme = (match[1] ?? "").toLowerCase();
  const found = SCHEMES.get(scheme);
  if (found === undefined)
    throw usageFailure(`${url}: nothing is known of ${scheme}://${didYouMean(scheme, names())}; ${known()}`);
  return found.parse(url, match[2] ?? "");
}

export function schemeOf(url: string): string {
  return url.slice(0, url.indexOf("://")).toLowerCase();
}

function names(): string[] {
  return [...SCHEMES.keys()];
}

function known(): string {
  return `there are ${names()
    .map((name) => `${name}://`)
    .join(", ")}`;
}

function guess(url: string): string {
  const [, scheme = "", rest = ""] = /^([a-z]+):\/?([^/].*)$/i.exec(url) ?? [];
  if (SCHEMES.has(scheme)) return `write ${scheme}://${rest}`;
  if (/^[^/]*:\d+$/.test(url) || /^\d+$/.test(url)) return `write tcp://${url}`;
  return url.startsWith("/") ? `write unix://${url}` : "write tcp://127.0.0.1:9000";
}

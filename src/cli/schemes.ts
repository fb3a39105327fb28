import { usageFailure } from "./failure.ts";
import type { ConnectionContext, Listen } from "./listening.ts";
import { didYouMean } from "./suggestion.ts";
import type { ParseTarget, Target, TargetOptions } from "./target.ts";
import { parseTcp, parseTcpTarget } from "./tcp-scheme.ts";
import { parseTls, parseTlsTarget } from "./tls-scheme.ts";
import { parseUdp } from "./udp-scheme.ts";
import { parseUnix, parseUnixTarget } from "./unix-scheme.ts";

/** Understands `url`, of which `rest` is what follows the `scheme://`. @throws Failure */
export type ParseUrl<ListenThere = Listen> = (url: string, rest: string) => ListenThere;

/** `parse` is for listening, `parseTarget` for connecting. */
type Scheme =
  | {
      readonly brings: "connections";
      readonly parse: ParseUrl<Listen<ConnectionContext>>;
      readonly parseTarget: ParseTarget;
    }
  | { readonly brings: "datagrams"; readonly parse: ParseUrl };

/** Where bytes can come from. A further scheme is a file of its own and a line here. */
const SCHEMES: ReadonlyMap<string, Scheme> = new Map<string, Scheme>([
  ["tcp", { brings: "connections", parse: parseTcp, parseTarget: parseTcpTarget }],
  ["tls", { brings: "connections", parse: parseTls, parseTarget: parseTlsTarget }],
  ["unix", { brings: "connections", parse: parseUnix, parseTarget: parseUnixTarget }],
  ["udp", { brings: "datagrams", parse: parseUdp }],
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
  const { scheme, rest } = understood(url);
  return scheme.parse(url, rest);
}

/**
 * What to listen on for connections alone.
 * @throws Failure
 */
export function parseConnectionUrl(url: string): Listen<ConnectionContext> {
  const { scheme, rest } = understood(url);
  if (scheme.brings === "datagrams") throw noConnections(url);
  return scheme.parse(url, rest);
}

/**
 * What to connect to.
 * @throws Failure
 */
export function parseTarget(url: string, options: TargetOptions): Target {
  const { scheme, rest } = understood(url);
  if (scheme.brings === "datagrams") throw noConnections(url);
  return scheme.parseTarget(url, rest, options);
}

export function schemeOf(url: string): string {
  return url.slice(0, url.indexOf("://")).toLowerCase();
}

function understood(url: string): { readonly scheme: Scheme; readonly rest: string } {
  const match = /^([a-z][a-z0-9+.-]*):\/\/(.*)$/is.exec(url);
  if (match === null) throw usageFailure(`${url} is no URL: ${guess(url)}`);
  const name = (match[1] ?? "").toLowerCase();
  const scheme = SCHEMES.get(name);
  if (scheme === undefined)
    throw usageFailure(
      `${url}: nothing is known of ${name}://${didYouMean(name, names())}; there are ${listed(names())}`,
    );
  return { scheme, rest: match[2] ?? "" };
}

function noConnections(url: string): Error {
  const others = names().filter((name) => SCHEMES.get(name)?.brings === "connections");
  return usageFailure(`${url} has no connections, which are what can be passed on; there are ${listed(others)}`);
}

function names(): string[] {
  return [...SCHEMES.keys()];
}

function listed(schemes: readonly string[]): string {
  return schemes.map((name) => `${name}://`).join(", ");
}

function guess(url: string): string {
  const [, scheme = "", rest = ""] = /^([a-z]+):\/?([^/].*)$/i.exec(url) ?? [];
  if (SCHEMES.has(scheme)) return `write ${scheme}://${rest}`;
  if (/^[^/]*:\d+$/.test(url) || /^\d+$/.test(url)) return `write tcp://${url}`;
  return url.startsWith("/") ? `write unix://${url}` : "write tcp://127.0.0.1:9000";
}

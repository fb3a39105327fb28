import { usageFailure } from "./failure.ts";
import type { Listen } from "./listening.ts";
import { didYouMean } from "./suggestion.ts";
import { parseTcp } from "./tcp-scheme.ts";
import { parseTls } from "./tls-scheme.ts";
import { parseUnix } from "./unix-scheme.ts";

/** Understands `url`, of which `rest` is what follows the `scheme://`. @throws Failure */
export type ParseUrl = (url: string, rest: string) => Listen;

/** Where bytes can come from. A further scheme is a file of its own and a line here. */
const SCHEMES: ReadonlyMap<string, ParseUrl> = new Map([
  ["tcp", parseTcp],
  ["tls", parseTls],
  ["unix", parseUnix],
]);

/**
 * What to listen on.
 * @throws Failure
 */
export function parseUrl(url: string): Listen {
  const match = /^([a-z][a-z0-9+.-]*):\/\/(.*)$/is.exec(url);
  if (match === null) throw usageFailure(`${url} is no URL: ${guess(url)}`);
  const scheme = (match[1] ?? "").toLowerCase();
  const parse = SCHEMES.get(scheme);
  if (parse === undefined)
    throw usageFailure(`${url}: nothing is known of ${scheme}://${didYouMean(scheme, names())}; ${known()}`);
  return parse(url, match[2] ?? "");
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

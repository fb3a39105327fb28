import { codeOf, reasonOf, runtimeFailure, usageFailure } from "./failure.ts";
import type { Failure } from "./failure.ts";

const LOOPBACK = "127.0.0.1";
const PORT_MAX = 65_535;

export type HostPort = { readonly host: string; readonly port: number };

/**
 * Understands what comes after `tcp://`, `tls://` and `udp://`: `host:port`, `[::1]:port`, and `:port` or `port` alone for loopback.
 * @throws Failure
 */
export function parseHostPort(url: string, rest: string): HostPort {
  const scheme = url.slice(0, url.indexOf(":"));
  const match = /^(?:(?:\[([^\]]+)\]|([^:/?#@[\]]*)):)?(\d+)\/?$/.exec(rest);
  if (match === null) throw usageFailure(`${url} is not ${scheme}://host:port: ${fault(scheme, rest)}`);
  const port = Number(match[3]);
  if (port > PORT_MAX)
    throw usageFailure(`${url}: there is no port ${match[3]}; ports go from 0 (any free one) to ${PORT_MAX}`);
  return { host: match[1] ?? (match[2] || LOOPBACK), port };
}

/** What is wrong with it, and what it might have been meant to be. */
function fault(scheme: string, rest: string): string {
  if (/^[^:/?#@[\]]+\/?$/.test(rest)) return `the port is missing; write ${scheme}://${rest.replace("/", "")}:9000`;
  if (/^[0-9a-f]*:[0-9a-f:.]+$/i.test(rest)) return `an IPv6 address goes in brackets: ${scheme}://[::1]:9000`;
  if (rest.includes("@")) return "there is no user here; leave away what comes before the @";
  if (/:\d+[/?#]/.test(rest)) return "nothing comes after the port";
  return `write ${scheme}://${LOOPBACK}:9000`;
}

/** `127.0.0.1:9000`, `[::1]:9000` */
export function formatHostPort({ host, port }: HostPort): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}

/** Why it cannot be listened there, and what to do. */
export function listenFailure(url: string, { host, port }: HostPort, error: unknown): Failure {
  switch (codeOf(error)) {
    case "EADDRINUSE": {
      const kind = url.toLowerCase().startsWith("udp:") ? "-lunp" : "-ltnp";
      return runtimeFailure(
        `${url}: the port is in use; choose another, 0 for any free one, or see who has it: ss ${kind} sport = :${port}`,
        error,
      );
    }
    case "EADDRNOTAVAIL":
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return runtimeFailure(
        `${url}: ${host} is no address of this machine; ${LOOPBACK} is loopback, 0.0.0.0 or [::] is every interface`,
        error,
      );
    case "EACCES":
      return runtimeFailure(`${url}: this user may not listen on port ${port}; choose one from 1024 up`, error);
    default:
      return runtimeFailure(`cannot listen on ${url}: ${reasonOf(error)}`, error);
  }
}

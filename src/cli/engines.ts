import type { TcpEngine } from "../tcp/index.ts";
import { onreadKeys } from "../tcp/node-internals.ts";
import type { UdpEngine } from "../udp/index.ts";
import { usageFailure } from "./failure.ts";
import type { Kinds } from "./schemes.ts";
import { didYouMean } from "./suggestion.ts";

/** What each kind of URL is to be received with. */
export type EngineChoice = {
  readonly connections: "auto" | TcpEngine;
  readonly datagrams: "auto" | UdpEngine;
};

const CHOICES: ReadonlyMap<string, Partial<EngineChoice>> = new Map([
  ["auto", {}],
  ["onread", { connections: "onread" }],
  ["data", { connections: "data" }],
  ["recvmmsg", { datagrams: "recvmmsg" }],
  ["dgram", { datagrams: "dgram" }],
]);

/** What `--engine` takes. */
export const ENGINES: readonly string[] = [...CHOICES.keys()];

/**
 * The engine called `name`, if this Node has it. It is for one kind of URLs; the other kind has its best.
 * @throws Failure
 */
export function enginesFor(name: string, { hasConnections, hasDatagrams }: Kinds): EngineChoice {
  const choice = CHOICES.get(name);
  if (choice === undefined) {
    throw usageFailure(`there is no engine ${name}${didYouMean(name, ENGINES)}; --engine takes ${ENGINES.join(", ")}`);
  }
  const found = onreadKeys();
  if (choice.connections === "onread" && found.keys === null) {
    throw usageFailure(`--engine onread cannot be had here: ${found.reason}; leave --engine away, or use data`);
  }
  if (choice.connections !== undefined && !hasConnections) {
    throw usageFailure(
      `--engine ${name} is for connections, and udp:// has none; leave it away, or use recvmmsg, dgram`,
    );
  }
  if (choice.datagrams !== undefined && !hasDatagrams) {
    throw usageFailure(`--engine ${name} is for udp:// and there is no such URL; leave it away, or use onread, data`);
  }
  return { connections: "auto", datagrams: "auto", ...choice };
}

/** What a choice comes to, for a session that nobody has connected to. */
export function expectedEngine({ connections }: EngineChoice): TcpEngine {
  if (connections !== "auto") return connections;
  return onreadKeys().keys === null ? "data" : "onread";
}

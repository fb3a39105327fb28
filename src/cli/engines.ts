import type { TcpEngine } from "../tcp/index.ts";
import { onreadKeys } from "../tcp/node-internals.ts";
import { usageFailure } from "./failure.ts";
import { didYouMean } from "./suggestion.ts";

export type EngineName = "auto" | TcpEngine;

/** What `--engine` takes. */
export const ENGINES: readonly EngineName[] = ["auto", "onread", "data"];

/**
 * The engine called `name`, if this Node has it.
 * @throws Failure
 */
export function engineCalled(name: string): EngineName {
  const engine = ENGINES.find((candidate) => candidate === name);
  if (engine === undefined) {
    throw usageFailure(`there is no engine ${name}${didYouMean(name, ENGINES)}; --engine takes ${ENGINES.join(", ")}`);
  }
  const found = onreadKeys();
  if (engine === "onread" && found.keys === null) {
    throw usageFailure(`--engine onread cannot be had here: ${found.reason}; leave --engine away, or use data`);
  }
  return engine;
}

/** What `auto` comes to, for a session that nobody has connected to. */
export function expectedEngine(engine: EngineName): TcpEngine {
  if (engine !== "auto") return engine;
  return onreadKeys().keys === null ? "data" : "onread";
}

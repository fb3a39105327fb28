/** Many relayed connections that are reset in mid-transfer: no page and no descriptor remains, and until then every byte was right. */
import { once } from "node:events";
import net from "node:net";
import type { RelayEngine } from "../../src/delivery/index.ts";
import { until } from "../support/at-rest.ts";
import { portOf } from "../support/sockets.ts";
import { SoakProxy } from "./relay-proxy.ts";
import type { AtRest, Relayed } from "./relay-proxy.ts";
import { PlanMaker, playClient, playTarget } from "./relay-peers.ts";

const AT_ONCE = 64;
const OVER_MS = 30_000;

export type ResetReport = AtRest & {
  readonly engine: RelayEngine;
  readonly connections: number;
  /** By who sent and who reset. */
  readonly plans: Readonly<Record<string, number>>;
  readonly bytes: number;
  /** How the two directions ended, each by its error's code. */
  readonly outcomes: Readonly<Record<string, number>>;
};

export async function resetPhase(engine: RelayEngine, connections: number, seed: number): Promise<ResetReport> {
  const problems: string[] = [];
  const maker = new PlanMaker(seed, connections);
  const target = net.createServer({ allowHalfOpen: true }, (socket) => void playTarget(socket, problems));
  await once(target.listen(0, "127.0.0.1"), "listening"); // before descriptors are counted: it is the test's own
  const tally = new Tally(problems);
  const proxy = new SoakProxy(engine, portOf(target), (relayed) => tally.add(relayed));
  const port = await proxy.listen();
  const line = async (): Promise<void> => {
    for (let plan = maker.next(); plan !== null; plan = maker.next()) await playClient(port, plan, problems);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, line));
  const isOver = (): boolean => tally.over === connections;
  await until(isOver, "over", OVER_MS).catch(() => problems.push(`${connections - tally.over} relays are not over`));
  const atRest = await proxy.end();
  target.close();
  return {
    engine,
    connections,
    plans: maker.counts,
    bytes: tally.bytes,
    outcomes: tally.outcomes,
    ...atRest,
    problems: [...atRest.problems, ...problems],
  };
}

/** What the relays say when they are over. */
class Tally {
  readonly outcomes: Record<string, number> = {};
  readonly #problems: string[];
  over = 0;
  bytes = 0;

  constructor(problems: string[]) {
    this.#problems = problems;
  }

  add({ legs, outcomes }: Relayed): void {
    this.over++;
    const how = outcomes.map(codeOf).toSorted().join(" + ");
    this.outcomes[how] = (this.outcomes[how] ?? 0) + 1;
    if (outcomes.every((outcome) => outcome === undefined)) this.#problems.push("a reset surfaced nowhere");
    for (const leg of legs) {
      const { bytesRead, bytesWritten } = leg.stats();
      this.bytes += bytesWritten;
      if (bytesWritten > bytesRead) this.#problems.push(`${bytesWritten} of ${bytesRead} bytes were written`);
    }
  }
}

function codeOf(outcome: unknown): string {
  if (outcome === undefined) return "end";
  return outcome instanceof Error && "code" in outcome ? String(outcome.code) : "an error without a code";
}

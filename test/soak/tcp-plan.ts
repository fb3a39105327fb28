/** What one run of the soak is going to do, chosen by its seed before it begins; timing is all that differs between two runs of a seed. */
import { JumboPool } from "../../src/index.ts";
import type { TcpEngine } from "../../src/tcp/index.ts";
import { Random } from "../support/random.ts";
import { noTls } from "../support/transports.ts";
import type { Transport } from "../support/transports.ts";

/** How a consumer takes its mbufs: in a callback that returns, or returns a promise of a kind, or all of these; or by iterating. */
export type Style = "sync" | "microtask" | "tick" | "turn" | "timer" | "mixed" | "iterating";

/** One connection: what is sent on it, and how the receiving side behaves. */
export type Plan = {
  readonly id: number;
  readonly lengthBytes: number;
  /** The sender breaks off in the middle. */
  readonly resets: boolean;
  /** The receiver comes only after bytes have arrived. */
  readonly startsLate: boolean;
  readonly hasTimeout: boolean;
  readonly pool: JumboPool;
  readonly engine: TcpEngine;
  readonly style: Style;
  /** Chances per mbuf. */
  readonly holdChance: number;
  readonly pauseChance: number;
  readonly falseChance: number;
  readonly destroyChance: number;
  /** Takes a page of the pool for a moment. */
  readonly scratchChance: number;
  /** Of the receiving side and of the sending side: neither's choices depend on when the other makes its own. */
  readonly random: Random;
  readonly sendRandom: Random;
};

export type RunPlan = {
  readonly transport: Transport;
  readonly pools: readonly JumboPool[];
  readonly connections: readonly Plan[];
};

const STYLES = [
  "sync",
  "sync",
  "microtask",
  "tick",
  "turn",
  "timer",
  "mixed",
  "mixed",
  "iterating",
  "iterating",
] as const;

export function planRun(seed: number): RunPlan {
  const random = new Random(Math.imul(seed, 2_654_435_761));
  const transport: Transport = noTls === false ? random.pick<Transport>(["tcp", "tcp", "tls"]) : "tcp";
  const pools = Array.from({ length: random.int(1, 2) }, () => planPool(random));
  const connections = Array.from({ length: random.int(1, 24) }, (_, id) => planConnection(random.fork(), id, pools));
  return { transport, pools, connections };
}

function planPool(random: Random): JumboPool {
  const pagesMax = random.int(1, 32);
  const half = Math.ceil(pagesMax / 2);
  const lowPages = random.int(1, half);
  const watermarks = { lowPages, highPages: random.int(lowPages, half) };
  return new JumboPool({
    pageSizeBytes: random.pick([4096, 16_384, 65_536]),
    pagesMax,
    idleTrimMs: 0,
    audit: random.chance(0.2), // poisons what is released
    ...(random.chance(0.5) ? { watermarks } : {}),
  });
}

function planConnection(random: Random, id: number, pools: readonly JumboPool[]): Plan {
  return {
    id,
    lengthBytes: planLength(random),
    resets: random.chance(0.1),
    startsLate: random.chance(0.2),
    hasTimeout: random.chance(0.1),
    pool: pools[random.int(0, pools.length - 1)] ?? planPool(random),
    engine: random.pick(["onread", "data"]),
    style: random.pick(STYLES),
    holdChance: random.pick([0, 0.1, 0.5, 1]),
    pauseChance: random.pick([0, 0, 0.02, 0.2]),
    falseChance: random.pick([0, 0, 0.05]),
    destroyChance: random.pick([0, 0, 0, 0.002]),
    scratchChance: random.pick([0, 0, 0, 0.2]),
    random: random.fork(),
    sendRandom: random.fork(),
  };
}

function planLength(random: Random): number {
  const exact = random.pick([0, 1, 4096, 16_384, 65_536, 3 * 65_536, 4096 * random.int(1, 30)]);
  return random.chance(0.5) ? exact : random.int(1, 300_000);
}

/** The size of one write: around the sizes of pages, where the odd cases are. */
export function messageBytes(random: Random): number {
  const near = random.pick([4096, 16_384, 65_536, 2 * 65_536]) + random.int(-2, 2);
  return random.pick([near, near, 1, random.int(1, 200), random.int(1, 70_000)]);
}

/** Where the bytes of a connection begin in the pattern, so that those of another one are not mistaken for them. */
export function patternStart(plan: Plan): number {
  return plan.id * 1000;
}

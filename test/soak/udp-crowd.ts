/** The sockets of one thread of the UDP stress: so many places, in each of which one life follows another. */
import { setTimeout as delay } from "node:timers/promises";
import { JumboPool } from "../../src/index.ts";
import { until } from "../support/at-rest.ts";
import { Random } from "../support/random.ts";
import { Intended, Life } from "./udp-life.ts";
import type { Kind, Surroundings } from "./udp-life.ts";

const STOP_MS_MAX = 60_000;
const PROBLEMS_MAX = 20;
const IPV6_BIT = 0x1_0000;

export type CrowdReport = {
  readonly lives: Readonly<Partial<Record<Kind, number>>>;
  readonly datagrams: number;
  readonly problems: readonly string[];
};

export class Crowd {
  readonly problems: string[] = [];
  readonly #lives: Partial<Record<Kind, number>> = {};
  #datagrams = 0;
  /** Of each place: where to send to, 0 for nowhere. Shared with other threads. */
  readonly #ports: Int32Array;
  readonly #pools: readonly [JumboPool, ...JumboPool[]];
  readonly #around: Surroundings;
  readonly #present: (Life | null)[] = [];
  readonly #places: Promise<void>[];
  #stop: () => void = () => {};
  #isStopping = false;

  constructor(seed: number, ports: Int32Array) {
    const random = new Random(seed);
    this.#ports = ports;
    // Large, small and poisoned; and so few pages that they run out.
    this.#pools = [
      new JumboPool({ pageSizeBytes: 65_536, pagesMax: 256, stolenMax: 0 }),
      new JumboPool({ pageSizeBytes: 4096, pagesMax: 128, stolenMax: 0, audit: true }),
      new JumboPool({ pageSizeBytes: 16_384, pagesMax: 6, stolenMax: 0, idleTrimMs: 20 }),
    ];
    this.#around = {
      random,
      pickPool: () => random.pick(this.#pools),
      makePool: () => new JumboPool({ pageSizeBytes: 65_536, pagesMax: 8, stolenMax: 0, idleTrimMs: 0 }),
      stopping: new Promise((resolve) => (this.#stop = resolve)),
      problem: (text) => this.problem(text),
      arrived: (datagrams) => void (this.#datagrams += datagrams),
    };
    this.#places = Array.from(ports, (_, place) => this.#occupy(place));
  }

  get report(): CrowdReport {
    return { lives: this.#lives, datagrams: this.#datagrams, problems: this.problems };
  }

  problem(text: string): void {
    if (this.problems.length < PROBLEMS_MAX) this.problems.push(text);
  }

  /** For what a listener throws: it comes to the process. True when it was meant. */
  static isIntended(error: unknown): boolean {
    return error instanceof Intended;
  }

  /** Pages are where they should be, now. */
  verify(): void {
    for (const pool of this.#pools) pool.verify();
  }

  /** Ends all lives, and checks that nothing is left of them. */
  async end(): Promise<void> {
    this.#isStopping = true;
    this.#stop();
    const isStuck = await Promise.race([
      Promise.all(this.#places).then(() => false),
      delay(STOP_MS_MAX, true, { ref: false }),
    ]);
    if (isStuck) for (const life of this.#present) if (life !== null) this.problem(`STUCK: ${life.description}`);
    for (const pool of this.#pools) await this.#closePool(pool);
  }

  async #closePool(pool: JumboPool): Promise<void> {
    const { pageSizeBytes } = pool;
    try {
      await until(
        () => pool.stats().inUse === 0,
        () => `${pool.stats().inUse} pages of ${pageSizeBytes} bytes are in use`,
      );
      pool.verify();
      if (pool.stats().poisonHits > 0) this.problem(`${pool.stats().poisonHits} released pages were written to`);
      pool.close();
    } catch (error) {
      this.problem(`${String(error)} ${JSON.stringify(pool.holders(2))}`);
      pool.close({ force: true });
    }
  }

  async #occupy(place: number): Promise<void> {
    while (!this.#isStopping) {
      const life = new Life(this.#around);
      this.#present[place] = life;
      this.#lives[life.kind] = (this.#lives[life.kind] ?? 0) + 1;
      await life.run((port, isIPv6) =>
        Atomics.store(this.#ports, place, port === null ? 0 : port | (isIPv6 ? IPV6_BIT : 0)),
      );
      this.#present[place] = null;
    }
  }
}

/** What a place's number in the shared array says. */
export function targetOf(value: number): { readonly port: number; readonly isIPv6: boolean } {
  return { port: value & 0xffff, isIPv6: (value & IPV6_BIT) !== 0 };
}

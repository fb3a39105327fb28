/** The proxy of the relay soak, and the laws that hold when it is at rest again. */
import { once } from "node:events";
import net from "node:net";
import { relay } from "../../src/delivery/index.ts";
import type { Relay, RelayEngine } from "../../src/delivery/index.ts";
import { JumboPool } from "../../src/index.ts";
import { openDescriptors } from "../delivery/proxy.ts";
import { until } from "../support/at-rest.ts";
import { portOf } from "../support/sockets.ts";
import { RssWatch } from "./rss-watch.ts";
import type { RssRange } from "./rss-watch.ts";

const PAGE_BYTES = 65_536;
const PAGES_MAX = 1024;
const REST_MS = 10_000;

/** One relayed connection, when it is over. */
export type Relayed = { readonly legs: readonly Relay[]; readonly outcomes: readonly unknown[] };

export type AtRest = {
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly rssMegabytes: RssRange;
  readonly pagesInUse: number;
  /** Sockets, pipes and epoll sets that were not open before. */
  readonly descriptorsLeft: readonly string[];
  /** Leaves `problems` empty, when all laws held. */
  readonly problems: readonly string[];
};

/** Accepts, connects each to `targetPort`, relays both ways; counts everything from its making to {@link end}. */
export class SoakProxy {
  readonly #engine: RelayEngine;
  readonly #targetPort: number;
  readonly #onOver: (relayed: Relayed) => void;
  readonly #pool = new JumboPool({ pageSizeBytes: PAGE_BYTES, pagesMax: PAGES_MAX, stolenMax: 0 });
  readonly #server = net.createServer({ allowHalfOpen: true }, (client) => this.#relay(client));
  readonly #before = openDescriptors() ?? [];
  readonly #rss = new RssWatch();
  readonly #started = performance.now();
  readonly #startedCpu = process.cpuUsage();

  constructor(engine: RelayEngine, targetPort: number, onOver: (relayed: Relayed) => void) {
    this.#engine = engine;
    this.#targetPort = targetPort;
    this.#onOver = onOver;
  }

  async listen(): Promise<number> {
    await once(this.#server.listen(0, "127.0.0.1"), "listening");
    return portOf(this.#server);
  }

  /** When every connection is over: waits until what they had is back, and tells what is not. */
  async end(): Promise<AtRest> {
    const seconds = (performance.now() - this.#started) / 1000;
    const { user, system } = process.cpuUsage(this.#startedCpu);
    this.#server.close();
    const left = (): string[] => (openDescriptors() ?? []).filter((one) => !this.#before.includes(one));
    const isAtRest = (): boolean => this.#pool.stats().inUse === 0 && left().length === 0;
    await until(isAtRest, "at rest", REST_MS).catch(() => {}); // what is missing is told below
    const pagesInUse = this.#pool.stats().inUse;
    const descriptorsLeft = left();
    this.#pool.verify();
    this.#pool.close({ force: pagesInUse > 0 });
    return {
      seconds: round(seconds),
      cpuSeconds: round((user + system) / 1e6),
      rssMegabytes: this.#rss.end(),
      pagesInUse,
      descriptorsLeft,
      problems: [
        ...(pagesInUse === 0 ? [] : [`${pagesInUse} pages are in use`]),
        ...(descriptorsLeft.length === 0 ? [] : [`${descriptorsLeft.length} descriptors are open`]),
      ],
    };
  }

  #relay(client: net.Socket): void {
    const server = net.connect({ port: this.#targetPort, host: "127.0.0.1", allowHalfOpen: true });
    const options = { pool: this.#pool, engine: this.#engine };
    const legs = [relay(client, server, options), relay(server, client, options)];
    void this.#settled(legs);
  }

  async #settled(legs: readonly Relay[]): Promise<void> {
    const settled = await Promise.allSettled(legs.map(({ done }) => done));
    const outcomes = settled.map((one): unknown => (one.status === "rejected" ? one.reason : undefined));
    this.#onOver({ legs, outcomes });
  }
}

export function round(value: number): number {
  return Math.round(value * 10) / 10;
}

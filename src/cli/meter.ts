import { readFileSync } from "node:fs";
import { PerformanceObserver } from "node:perf_hooks";
import type { PerformanceEntry } from "node:perf_hooks";

/** What a stretch of work has cost this process. */
export type Cost = {
  readonly cpu: { readonly userSeconds: number; readonly systemSeconds: number };
  readonly gc: { readonly count: number; readonly milliseconds: number };
  /** The most memory resident at a time since the process began. */
  readonly rssMaxBytes: number;
};

/** Measures the process it runs in, from its construction on: processor time, garbage collections, memory. */
export class Meter {
  #cpuBefore = process.cpuUsage();
  #gcCount = 0;
  #gcMs = 0;
  readonly #observer: PerformanceObserver;

  constructor() {
    this.#observer = new PerformanceObserver((list) => this.#add(list.getEntries()));
    this.#observer.observe({ entryTypes: ["gc"] });
  }

  /** Begins again: what was spent on starting up does not count. */
  restart(): void {
    this.#observer.takeRecords();
    this.#cpuBefore = process.cpuUsage();
    this.#gcCount = 0;
    this.#gcMs = 0;
  }

  /** So far. */
  cost(): Cost {
    this.#add(this.#observer.takeRecords()); // what the observer has not been told yet
    const cpu = process.cpuUsage(this.#cpuBefore);
    return {
      cpu: { userSeconds: cpu.user / 1e6, systemSeconds: cpu.system / 1e6 },
      gc: { count: this.#gcCount, milliseconds: Number(this.#gcMs.toFixed(3)) },
      rssMaxBytes: rssMaxBytes(),
    };
  }

  stop(): void {
    this.#observer.disconnect();
  }

  #add(entries: readonly PerformanceEntry[]): void {
    for (const { duration } of entries) {
      this.#gcCount++;
      this.#gcMs += duration;
    }
  }
}

/** Linux counts in getrusage's number what the parent had when it forked, so /proc is asked first. */
function rssMaxBytes(): number {
  try {
    const kibibytes = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
    if (kibibytes !== undefined) return Number(kibibytes) * 1024;
  } catch {} // no Linux, or no /proc
  return process.resourceUsage().maxRSS * 1024;
}

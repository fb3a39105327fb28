/**
 * One measurement as it travels from a candidate's process to the bench: a JSON line of numbers.
 */
import { readFileSync } from "node:fs";
import { PerformanceObserver, constants } from "node:perf_hooks";
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";

/** Names with their unit last. A figure that does not apply (garbage collection in C) is absent. */
export type Figures = Readonly<Record<string, number>>;

export function printFigures(figures: Figures): void {
  process.stdout.write(`${JSON.stringify(figures)}\n`);
}

/**
 * Peak resident memory of this process in MB (10⁶ bytes).
 *
 * Linux: VmHWM. Not `ru_maxrss`: a child starts out with its parent's (exec folds the old image's peak into it), so a small
 * program would show the bench's memory.
 */
export function peakRssMb(): number {
  try {
    const match = /^VmHWM:\s*(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8"));
    if (match?.[1] !== undefined) return (Number(match[1]) * 1024) / 1e6;
  } catch {
    // Not Linux.
  }
  return (process.resourceUsage().maxRSS * 1024) / 1e6;
}

export type GcTotals = { scavenges: number; scavengeMs: number; markCompacts: number; markCompactMs: number };

/** Counts garbage collections, scavenges apart from the rest. Mark-compact time includes its incremental steps. */
export class GcMeter {
  readonly #observer: PerformanceObserver;
  #totals: GcTotals = { scavenges: 0, scavengeMs: 0, markCompacts: 0, markCompactMs: 0 };

  constructor() {
    this.#observer = new PerformanceObserver((list) => this.#add(list.getEntries()));
    this.#observer.observe({ entryTypes: ["gc"] });
  }

  /** Forgets what was seen so far: the end of a warm-up. */
  async restart(): Promise<void> {
    await this.#settle();
    this.#totals = { scavenges: 0, scavengeMs: 0, markCompacts: 0, markCompactMs: 0 };
  }

  async stop(): Promise<GcTotals> {
    await this.#settle();
    this.#observer.disconnect();
    return this.#totals;
  }

  /** Entries arrive through the event loop, some turns late. */
  async #settle(): Promise<void> {
    await delay(20);
    this.#add(this.#observer.takeRecords());
  }

  #add(entries: PerformanceEntryList): void {
    for (const entry of entries) {
      if (kindOf(entry) === constants.NODE_PERFORMANCE_GC_MINOR) {
        this.#totals.scavenges++;
        this.#totals.scavengeMs += entry.duration;
      } else {
        if (kindOf(entry) === constants.NODE_PERFORMANCE_GC_MAJOR) this.#totals.markCompacts++;
        this.#totals.markCompactMs += entry.duration;
      }
    }
  }
}

type PerformanceEntryList = ReturnType<PerformanceObserver["takeRecords"]>;

function kindOf(entry: object): unknown {
  // The types leave `detail` open; for "gc" entries it is { kind, flags }.
  const { detail } = entry as { readonly detail?: { readonly kind?: unknown } };
  return detail?.kind;
}

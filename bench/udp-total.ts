/**
 * What a candidate in JavaScript counts while it receives UDP, and what that cost the whole process.
 */
import type { IntervalHistogram } from "node:perf_hooks";
import process from "node:process";
import type { Figures } from "./figures.ts";

/** So long is the sender's end marker; no load has datagrams as short. */
const MARKER_BYTES = 3;
/** Part of what the histogram counts: it records the time from one tick to the next. */
export const DELAY_RESOLUTION_MS = 1;
const P99 = 99;

/** Adds up datagrams, and measures from the first one to the first end marker, which comes within 1 ms of the last one. */
export class UdpTotal {
  readonly done: Promise<void>;
  readonly #delay: IntervalHistogram | null;
  #resolve: () => void = () => {};
  #isDone = false;
  #datagrams = 0;
  #bytes = 0;
  #touched = 0;
  #start = 0;
  #seconds = 0;
  #cpu: NodeJS.CpuUsage = { user: 0, system: 0 };

  /** @param delay of this process's event loop, not enabled yet, at `DELAY_RESOLUTION_MS`; null to do without */
  constructor(delay: IntervalHistogram | null) {
    this.#delay = delay;
    this.done = new Promise((resolve) => (this.#resolve = resolve));
  }

  /** Looks at one byte of a datagram. */
  add(bytes: Uint8Array): void {
    if (bytes.length === MARKER_BYTES) return this.#finish();
    if (this.#datagrams === 0) this.#begin();
    this.#datagrams++;
    this.#bytes += bytes.length;
    this.#touched ^= bytes[0] ?? 0;
  }

  get figures(): Figures {
    if (this.#touched < 0) throw new Error("a byte is not negative");
    return {
      datagrams: this.#datagrams,
      bytes: this.#bytes,
      seconds: this.#seconds,
      userSeconds: this.#cpu.user / 1e6,
      systemSeconds: this.#cpu.system / 1e6,
      ...this.#delayFigures(),
    };
  }

  #delayFigures(): Figures {
    if (this.#delay === null) return {};
    return { delayP99Ms: Math.max(0, this.#delay.percentile(P99) / 1e6 - DELAY_RESOLUTION_MS) };
  }

  #begin(): void {
    this.#start = performance.now();
    this.#cpu = process.cpuUsage();
    this.#delay?.enable();
  }

  #finish(): void {
    if (this.#isDone) return;
    this.#isDone = true;
    this.#cpu = process.cpuUsage(this.#cpu);
    this.#seconds = (performance.now() - this.#start) / 1000;
    this.#delay?.disable();
    this.#resolve();
  }
}

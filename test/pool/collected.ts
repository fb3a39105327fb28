import assert from "node:assert/strict";

/** Lives as long as the process: a registry that is garbage itself never reports. */
const registry = new FinalizationRegistry<() => void>((report) => report());

/** Resolves when `object` has been garbage collected; see {@link collecting}. Keeps no reference to it. */
export function collectionOf(object: object): Promise<void> {
  return new Promise((resolve) => registry.register(object, resolve));
}

/**
 * Collects garbage until `event` happens, which must be soon: rejects after `limitMs`.
 *
 * A finalizer runs some time after the collection that makes it due, so there is nothing else to await than the event itself.
 */
export async function collecting<T>(event: Promise<T>, what: string, limitMs = 10_000): Promise<T> {
  const timers: NodeJS.Timeout[] = [];
  const late = new Promise<never>((_, reject) => {
    timers.push(setTimeout(() => reject(new Error(`not within ${limitMs} ms: ${what}`)), limitMs));
    timers.push(setInterval(() => collectGarbage(), 5));
  });
  try {
    return await Promise.race([event, late]);
  } finally {
    for (const timer of timers) clearTimeout(timer);
  }
}

/** One full collection. */
export function collectGarbage(): void {
  const { gc } = globalThis;
  assert(gc !== undefined, "tests run with --expose-gc");
  gc();
}

/**
 * Collects garbage several times and lets finalizers run, for what must NOT be collected. There is no event for that: it is
 * as often as it takes, by experience, for what is garbage to be reported, times four.
 */
export async function collectThoroughly(): Promise<void> {
  for (let round = 0; round < 8; round++) {
    collectGarbage();
    await new Promise((resolve) => setImmediate(resolve));
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

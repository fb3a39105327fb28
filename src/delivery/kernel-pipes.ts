import { loadSpliceCalls } from "../os/splice-calls.ts";
import type { KernelPipe, SpliceCalls } from "../os/splice-calls.ts";

/** Room in a pipe, where the system allows it. In the kernel it is slots of 4 KiB, each of which holds what one packet brought. */
export const PIPE_BYTES = 262_144;
/** Empty pipes that are kept for the next that needs one. */
const KEPT_MAX = 16;

const kept: KernelPipe[] = [];

/**
 * An empty pipe, for as long as something is in it: idle connections have none. −errno when there is none to be had.
 * Whoever takes it calls {@link putBackPipe} when it is empty again, else {@link discardPipe}. Thread: its own.
 */
export function takePipe(calls: SpliceCalls): KernelPipe | number {
  return kept.pop() ?? calls.makePipe(PIPE_BYTES);
}

/** Takes back a pipe in which nothing is. */
export function putBackPipe(calls: SpliceCalls, pipe: KernelPipe): void {
  if (kept.length < KEPT_MAX) kept.push(pipe);
  else discardPipe(calls, pipe);
}

/** Closes a pipe, and lets go what is in it. */
export function discardPipe(calls: SpliceCalls, pipe: KernelPipe): void {
  calls.closePipe(pipe);
}

/** Closes the pipes that are kept: when no relay of this thread runs any more. */
export function closeKeptPipes(): void {
  const { calls } = loadSpliceCalls();
  if (calls === null) return;
  for (const pipe of kept.splice(0)) discardPipe(calls, pipe);
}

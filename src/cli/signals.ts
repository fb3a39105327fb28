export type EndSignal = "SIGINT" | "SIGTERM";

export type SignalHandlers = {
  readonly first: (signal: EndSignal) => void;
  /** The last thing this process does. */
  readonly second: (signal: EndSignal) => void;
};

/**
 * Ends with the first SIGINT or SIGTERM, and at once with the second. Returns the function that takes the handlers away.
 *
 * At once means by the signal itself: `process.exit` waits for the threads that write, and the second signal comes just
 * because one of them is stuck.
 */
export function endBySignals({ first, second }: SignalHandlers): () => void {
  let isEnding = false;
  const onSignal = (signal: EndSignal): void => {
    if (!isEnding) {
      isEnding = true;
      first(signal);
      return;
    }
    second(signal);
    release();
    process.kill(process.pid, signal);
  };
  const release = (): void => {
    process.off("SIGINT", onSignal);
    process.off("SIGTERM", onSignal);
  };
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  return release;
}

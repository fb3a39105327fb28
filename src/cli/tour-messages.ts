/** What the processes of the tour tell one another. */

/** From a receiver: who wants to send can begin, with these arguments. */
export type TourListening = { readonly kind: "listening"; readonly senderArguments: readonly string[] };
/** From a receiver, now and then: so much of the whole has come. */
export type TourProgress = { readonly kind: "progress"; readonly done: number };
/** From a sender whose receiver cannot see the end, to the parent, and from that to the receiver: there is no more. */
export type TourSent = { readonly kind: "sent" };

const PROGRESS_MS = 100;

/** Tells the parent; one that is gone wants to know nothing. */
export function tell(message: { readonly kind: string }): void {
  process.send?.(message, undefined, undefined, () => {});
}

/** Tells the parent ten times a second how much has come. @returns what ends that */
export function tellProgress(done: () => number): () => void {
  const timer = setInterval(() => {
    const progress: TourProgress = { kind: "progress", done: done() };
    tell(progress);
  }, PROGRESS_MS);
  return () => clearInterval(timer);
}

/** The last thing a receiver says. */
export function tellResult(result: { readonly kind: "result" }): void {
  tell(result);
  if (process.connected) process.disconnect();
}

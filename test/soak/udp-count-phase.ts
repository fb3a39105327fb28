/** What the phases of the counting UDP soak are, and what the sender is told. */

export type Phase = {
  readonly name: string;
  /** Of all datagrams. */
  readonly share: number;
  readonly isGso: boolean;
  /** Whether the receiver takes super-datagrams as they are; if not, the kernel cuts them before they are queued, and drops them one by one. */
  readonly hasGro: boolean;
  /** The sender waits for acknowledgements, so that most arrive; if not, much is dropped, and must be accounted for. */
  readonly isPaced: boolean;
  /** How the consumer takes its batches; a slow one keeps each of them for a moment, and each hundredth for some milliseconds. */
  readonly style: "callback" | "iteration" | "slow";
};

export const PHASES: readonly Phase[] = [
  { name: "plain", share: 0.1, isGso: false, hasGro: true, isPaced: true, style: "callback" },
  { name: "plain, overrun", share: 0.03, isGso: false, hasGro: true, isPaced: false, style: "slow" },
  { name: "GSO, cut by the kernel", share: 0.05, isGso: true, hasGro: false, isPaced: true, style: "iteration" },
  { name: "GSO", share: 0.77, isGso: true, hasGro: true, isPaced: true, style: "callback" },
  { name: "GSO, overrun", share: 0.05, isGso: true, hasGro: true, isPaced: false, style: "slow" },
];

/** What the sending process is told, as its argument. */
export type SendOrder = {
  readonly phaseId: number;
  readonly port: number;
  readonly datagrams: number;
  readonly seed: number;
  readonly isGso: boolean;
  readonly isPaced: boolean;
};

/** What it reports when all is sent. */
export type SendReport = {
  readonly datagrams: number;
  readonly messages: number;
  readonly bytes: number;
  readonly systemCalls: number;
  /** Datagrams that went one by one although they were to be sent together: then messages and drops do not correspond. */
  readonly viaNode: number;
  readonly errors: number;
  readonly cpuSeconds: number;
  readonly waits: number;
  /** Waits that were given up: the acknowledged end of what was sent had been lost. */
  readonly lostWaits: number;
};

/** An acknowledgement: one more than the highest number that has come. */
export const ACK_BYTES = 4;
/** The receiver acknowledges after so many datagrams at the latest; the sender has at most so many on their way. */
export const ACK_EVERY: Readonly<Record<"plain" | "gso", number>> = { plain: 256, gso: 512 };
export const WINDOW: Readonly<Record<"plain" | "gso", number>> = { plain: 1536, gso: 4096 };

/** Counts that add up over everything that is received from. */
export type Counts = {
  /** 1 for a connection. */
  readonly connections: number;
  /** Handed to the output. */
  readonly bytes: number;
  readonly bytesCopied: number;
  /** Received, and given up: the connection was gone before the output had room, or there was no page. */
  readonly bytesDropped: number;
  readonly reads: number;
  readonly pauses: number;
  /** Handed to the output. */
  readonly datagrams: number;
  readonly batches: number;
  readonly truncated: number;
  /** Received by the kernel, for which its buffer had no room. */
  readonly kernelDrops: number;
  /** Read, and given up. */
  readonly datagramsDropped: number;
  /** Many datagrams that the kernel has handed over as one (GRO). */
  readonly superDatagrams: number;
};

export const NO_COUNTS: Counts = {
  connections: 0,
  bytes: 0,
  bytesCopied: 0,
  bytesDropped: 0,
  reads: 0,
  pauses: 0,
  datagrams: 0,
  batches: 0,
  truncated: 0,
  kernelDrops: 0,
  datagramsDropped: 0,
  superDatagrams: 0,
};

const COUNT_NAMES = Object.keys(NO_COUNTS) as readonly (keyof Counts)[]; // it has exactly these

export function addedCounts(a: Counts, b: Counts): Counts {
  const sum = { ...a };
  for (const name of COUNT_NAMES) sum[name] += b[name];
  return sum;
}

/** How bytes get from the kernel into pages. */
export type EngineInUse = {
  readonly engine: string;
  /** Why it is not the best one; null when it is, or when the user chose. */
  readonly engineReason: string | null;
};

export type GroState = { readonly isOn: boolean; readonly reason: string | null };

/** What a session receives from until it ends: a connection, or a socket that datagrams are sent to. */
export type Intake = {
  counts(): Counts;
  engineInUse(): EngineInUse;
  /** Null for what has no datagrams. */
  gro(): GroState | null;
  /** Ends it from our side: what has been received is written. */
  cut(): void;
};

/** How an intake has ended, when everything that came is written. */
export type IntakeEnd = {
  /** `complete`: all that could come has come. `cut`: we have ended it, because the session ends. */
  readonly how: "complete" | "cut" | "failed";
  /** Why it failed: what the socket said, or a `Failure` of the output. */
  readonly error: Error | null;
  /** Nobody has sent anything. */
  readonly isEmpty: boolean;
  /** Lines for whoever sits there: what has come well; what has not, or not to its end. */
  readonly news: string | null;
  readonly complaint: string | null;
};

/** Names of the engines that move bytes from one socket to another. */
export type RelayEngine = "pages" | "splice";

/** Moves bytes from one socket to another, for as long as both live. Internal. */
export type Mover = {
  readonly engine: RelayEngine;
  /** Bytes that were read. */
  readonly bytesRead: number;
  /** Bytes that the target's kernel, or Node, has done with. Law: never more than were read. */
  readonly bytesWritten: number;
  /** Pages that wait for the target now, and the most that did. */
  readonly pagesPinned: number;
  readonly pagesPinnedPeak: number;
  /** How often reading stopped because the target was behind. */
  readonly pauses: number;
  /** True once the source has ended and the target was told. */
  readonly hasEnded: boolean;
  start(): void;
  /** Ends the mover's part: the source has ended and everything is handed over, or one of the sockets was destroyed. Again: nothing. */
  close(): void;
};

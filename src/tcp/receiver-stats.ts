import type { TcpEngine } from "./reader.ts";

/** What a receiver has done. Law: `bytesReceived = bytesDelivered + bytesQueued + bytesDropped`. */
export type ReceiverStats = {
  readonly engine: TcpEngine;
  /** Why it is not the `onread` engine; null when it is, or when the caller chose. */
  readonly engineReason: string | null;
  readonly reads: number;
  readonly bytesReceived: number;
  readonly bytesDelivered: number;
  /** Received, and waiting for the consumer. */
  readonly bytesQueued: number;
  /** Received, and given up because the socket was destroyed before the consumer came to them. */
  readonly bytesDropped: number;
  /** Of the received ones, those that were copied once on their way into a page; the others are where the kernel wrote them. */
  readonly bytesCopied: number;
  /** How often reading stopped, for want of pages or because the consumer was behind. */
  readonly pauses: number;
};

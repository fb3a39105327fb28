import type { UdpEngine } from "./reader.ts";
import type { SentStats } from "./sender.ts";

/** Generic receive offload: whether the kernel hands over many datagrams of one sender as one message. */
export type GroStats = {
  readonly isOn: boolean;
  /** Why it is off; null when it is on, or when the caller wanted it off. */
  readonly reason: string | null;
  /** Messages that were more than one datagram. */
  readonly superDatagrams: number;
};

/** What a receiver has done. */
export type UdpStats = {
  readonly engine: UdpEngine;
  /** Why it is not `recvmmsg`; null when it is, or when the caller chose. */
  readonly engineReason: string | null;
  readonly gro: GroStats;
  /** Handed to the consumer, and the bytes of their payloads. */
  readonly datagrams: number;
  readonly bytes: number;
  readonly batches: number;
  /** Datagrams that did not fit a page: their end is lost. */
  readonly truncated: number;
  /**
   * What the kernel dropped because the socket's buffer was full, or the checksum wrong, as it counts: a super-datagram of a sender with
   * segmentation offload is one. Only the `recvmmsg` engine can know.
   */
  readonly kernelDrops: number;
  /** Read, and given up for want of a page or of a consumer: only the `dgram` engine, where it cannot stop Node's reading. */
  readonly dropped: number;
  /** System calls that read, and times that the event loop woke us for it. */
  readonly reads: number;
  readonly wakeups: number;
  /** How often reading stopped for want of pages. */
  readonly pauses: number;
  /** `'error'` events. */
  readonly errors: number;
  /** What consumers keep: so many datagrams, of so many bytes in all, pin so many pages. */
  readonly held: { readonly datagrams: number; readonly bytes: number; readonly pages: number };
  readonly sent: SentStats;
};

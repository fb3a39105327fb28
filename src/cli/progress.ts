import type { JumboPool } from "../index.ts";
import { countOf, formatBytes, formatCount, formatRate } from "./quantities.ts";
import type { Kinds } from "./schemes.ts";
import type { Session } from "./session.ts";

/** At five a second, the last second or so. */
const RATE_SAMPLES = 6;

/**
 * Says how a session is doing, each time it is asked:
 *
 *      254 MB/s  1.53 GB  66/1,024 pages  110 pauses  2 connections
 *      254 MB/s  1.53 GB  66/1,024 pages  110 pauses  1,092,857 datagrams  0 dropped
 *
 * The rate is that of the last second: it shows at once when a sender, or the output, slows down.
 */
export function liveLine(session: Session, pool: JumboPool, kinds: Kinds): () => string {
  const samples: { bytes: number; ms: number }[] = [];
  return () => {
    const { bytes, pauses, connectionsOpen, datagrams, kernelDrops } = session.totals();
    const now = { bytes, ms: performance.now() };
    samples.push(now);
    if (samples.length > RATE_SAMPLES) samples.shift();
    const first = samples[0] ?? now;
    const { inUse, pagesMax } = pool.stats();
    const rate = formatRate(bytes - first.bytes, (now.ms - first.ms) / 1000);
    const datagramParts = [countOf(datagrams, "datagram"), `${formatCount(kernelDrops)} dropped`];
    return [
      rate.padStart(9),
      formatBytes(bytes).padStart(7),
      `${formatCount(inUse)}/${formatCount(pagesMax)} pages`,
      countOf(pauses, "pause"),
      ...(kinds.hasConnections ? [countOf(connectionsOpen, "connection")] : []),
      ...(kinds.hasDatagrams ? datagramParts : []),
    ].join("  ");
  };
}

/**
 * What `c/udp-sender.c` does, for machines without a C compiler: the same arguments, the same line, by jumbo's own sendBatch.
 *
 *     node dist/bench/udp-sender.js PORT plain|gso COUNT SIZE RATE
 *
 * Sends end markers until it is killed, or long enough.
 */
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import { JumboPool } from "../src/index.ts";
import { bindUdp } from "../src/udp/index.ts";
import type { UdpReceiver } from "../src/udp/index.ts";
import { printFigures } from "./figures.ts";

type Message = { readonly bytes: Uint8Array; readonly address: string; readonly port: number };
type Load = { readonly port: number; readonly count: number; readonly size: number; readonly rate: number };

const HOST = "127.0.0.1";
const PAGE_BYTES = 65_536;
const UDP_BYTES_MAX = 65_507;
const SEGMENTS_MAX = 64;
const BATCH = 64;
const MARKERS_MAX = 5000;
const TICK_MS = 1;

/** `segmentsMax` datagrams of `size` bytes a message, which begin with their sequence numbers. */
class Payloads {
  readonly #buffers: readonly Buffer[];
  readonly #load: Load;
  readonly #segmentsMax: number;

  constructor(load: Load, segmentsMax: number) {
    this.#load = load;
    this.#segmentsMax = segmentsMax;
    this.#buffers = Array.from({ length: BATCH }, () => Buffer.alloc(load.size * segmentsMax));
  }

  /** At most a call's worth of messages, from datagram `sent` up to `due`; they are overwritten by the next call. */
  *from(sent: number, due: number): Generator<Message> {
    const { size, port } = this.#load;
    let next = sent;
    for (const buffer of this.#buffers) {
      if (next >= due) return;
      const segments = Math.min(this.#segmentsMax, due - next);
      for (let at = 0; at < segments * size; at += size) buffer.writeBigUInt64LE(BigInt(next++), at);
      yield { bytes: buffer.subarray(0, segments * size), address: HOST, port };
    }
  }

  /** How many datagrams `from` yields. */
  count(sent: number, due: number): number {
    return Math.min(due - sent, BATCH * this.#segmentsMax);
  }
}

/** With a rate each tick sends what is due by now, so a late tick is made up for. */
async function sendAll(sender: UdpReceiver, load: Load, isGso: boolean): Promise<void> {
  const segmentsMax = isGso ? Math.min(SEGMENTS_MAX, Math.floor(UDP_BYTES_MAX / load.size)) : 1;
  const payloads = new Payloads(load, segmentsMax);
  const options = isGso ? { segmentBytes: load.size } : {};
  const start = performance.now();
  for (let sent = 0; sent < load.count;) {
    const dueByRate = Math.floor(((performance.now() - start) * load.rate) / 1000);
    const due = load.rate === 0 ? load.count : Math.min(load.count, dueByRate);
    if (due <= sent) {
      await delay(TICK_MS);
      continue;
    }
    await sender.sendBatch(payloads.from(sent, due), options);
    sent += payloads.count(sent, due);
  }
  const { systemCalls } = sender.stats().sent;
  printFigures({ sent: load.count, systemCalls, seconds: (performance.now() - start) / 1000 });
}

const [port = 0, , count = 0, size = 0, rate = 0] = process.argv.slice(2).map(Number);
const sender = await bindUdp({
  pool: new JumboPool({ pageSizeBytes: PAGE_BYTES, pagesMax: 64, stolenMax: 0 }),
  address: HOST,
});
sender.on("error", () => {}); // The receiver is gone: the bench kills this process.
await sendAll(sender, { port, count, size, rate }, process.argv[3] === "gso");
for (let i = 0; i < MARKERS_MAX; i++) {
  await sender.send(Buffer.from("end"), { address: HOST, port }).catch(() => {});
  await delay(TICK_MS);
}
await sender.close();

/** Not a test: the sending process of the counting UDP soak. Sends one phase, reports, and ends when it is told. */
import { once } from "node:events";
import { JumboPool } from "../../src/index.ts";
import { bindUdp } from "../../src/udp/index.ts";
import type { UdpReceiver } from "../../src/udp/index.ts";
import { Random } from "../support/random.ts";
import { ACK_BYTES, WINDOW } from "./udp-count-phase.ts";
import type { SendOrder, SendReport } from "./udp-count-phase.ts";
import { DATAGRAM_BYTES_MIN, writeMessage } from "./udp-datagram.ts";

const HOST = "127.0.0.1";
const BATCH = 64;
const SEGMENTS_MAX = 64;
const UDP_BYTES_MAX = 65_507;
/** The kernel cuts what is longer, with its headers, before it is sent; sendBatch gives it no more either. */
const MESSAGE_BYTES_MAX = 65_473;
const SEGMENT_BYTES_MAX = 1400;
/** Longer than any receiver takes to answer, unless what it should answer was lost. */
const ACK_WAIT_MS = 20;

/** The end of what has been acknowledged, and those who wait for it to move. */
class Acknowledged {
  end = 0;
  #onMove: () => void = () => {};

  moveTo(end: number): void {
    if (end <= this.end) return;
    this.end = end;
    this.#onMove();
  }

  /** False when nothing came for a while. */
  moves(): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ACK_WAIT_MS, false);
      this.#onMove = () => {
        clearTimeout(timer);
        resolve(true);
      };
    });
  }
}

/** Fills messages and counts them. */
class Messages {
  readonly #order: SendOrder;
  readonly #random: Random;
  readonly #buffers = Array.from({ length: BATCH }, () => Buffer.alloc(UDP_BYTES_MAX));
  datagrams = 0;
  messages = 0;

  constructor(order: SendOrder) {
    this.#order = order;
    this.#random = new Random(order.seed);
  }

  get isDone(): boolean {
    return this.datagrams >= this.#order.datagrams;
  }

  /** For one call of sendBatch, each as long as you like: `cut` bytes a datagram. */
  *batch(cut: number, countMax: number): Generator<{ bytes: Buffer; address: string; port: number }> {
    const { port } = this.#order;
    const end = Math.min(this.#order.datagrams, this.datagrams + countMax);
    for (const buffer of this.#buffers) {
      if (this.datagrams >= end) return;
      const bytes = buffer.subarray(0, cut === 0 ? this.#length() : this.#lengthOfMany(cut, end - this.datagrams));
      const message = {
        phaseId: this.#order.phaseId,
        number: this.messages++,
        first: this.datagrams,
        datagramBytes: cut === 0 ? bytes.length : cut,
      };
      this.datagrams += writeMessage(bytes, message);
      yield { bytes, address: HOST, port };
    }
  }

  /** How long the datagrams of the next call are. */
  nextCut(): number {
    if (!this.#order.isGso) return 0;
    return this.#random.chance(0.7) ? this.#random.int(64, 512) : this.#random.int(512, SEGMENT_BYTES_MAX);
  }

  /** Of a plain datagram: mostly what fits an Ethernet frame, now and then one that needs more than a slot. */
  #length(): number {
    const random = this.#random;
    if (random.chance(0.002)) return random.int(DATAGRAM_BYTES_MIN, UDP_BYTES_MAX);
    return random.chance(0.02) ? random.int(2000, 9000) : random.int(DATAGRAM_BYTES_MIN, 1472);
  }

  /** Whole datagrams, and a shorter one behind them at times. */
  #lengthOfMany(cut: number, countMax: number): number {
    const random = this.#random;
    const most = Math.min(SEGMENTS_MAX, Math.floor(MESSAGE_BYTES_MAX / cut), countMax);
    const count = random.chance(0.8) ? most : random.int(1, most);
    return (count - 1) * cut + (random.chance(0.5) ? cut : random.int(DATAGRAM_BYTES_MIN, cut));
  }
}

async function sendAll(sender: UdpReceiver, acknowledged: Acknowledged, order: SendOrder): Promise<SendReport> {
  const messages = new Messages(order);
  const window = WINDOW[order.isGso ? "gso" : "plain"];
  let waits = 0;
  let lostWaits = 0;
  while (!messages.isDone) {
    const rest = order.isPaced ? window - (messages.datagrams - acknowledged.end) : window;
    if (rest < window / 4) {
      waits++;
      if (await acknowledged.moves()) continue;
      lostWaits++;
      acknowledged.end = messages.datagrams;
      continue;
    }
    const cut = messages.nextCut();
    await sender.sendBatch(messages.batch(cut, rest), cut === 0 ? {} : { segmentBytes: cut });
  }
  const { bytes, systemCalls, viaNode, errors, datagrams } = sender.stats().sent;
  if (datagrams + errors !== messages.datagrams) throw new Error(`${datagrams} of ${messages.datagrams} were sent`);
  const { user, system } = process.cpuUsage();
  const cpuSeconds = Math.round((user + system) / 1e5) / 10;
  return { datagrams, messages: messages.messages, bytes, systemCalls, viaNode, errors, cpuSeconds, waits, lostWaits };
}

const order = JSON.parse(process.argv[2] ?? "") as SendOrder; // written by udp-count.ts
const acknowledged = new Acknowledged();
const pool = new JumboPool({ pagesMax: 64 });
const options = { pool, address: HOST, sendBufferBytes: 4 << 20, engine: "recvmmsg" } as const;
const sender = await bindUdp(options, (batch) => {
  for (const { bytes } of batch) if (bytes.length === ACK_BYTES) acknowledged.moveTo(bytes.readUInt32LE());
});
process.send?.(await sendAll(sender, acknowledged, order));
await once(process, "disconnect");
await sender.close();

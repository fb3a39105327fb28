import { JumboPool } from "../index.ts";
import { bindUdp } from "../udp/index.ts";
import { TOUR_BUNCH, TOUR_DATAGRAMS, TOUR_DATAGRAM_BYTES, makeTourBunch, stampTourBunch } from "./tour-datagrams.ts";
import { tell } from "./tour-messages.ts";
import type { TourSent } from "./tour-messages.ts";

/**
 * A process of its own that sends the tour's datagrams to the port in its first argument, at most as many as its second one says ahead of
 * what the receiver has told that it has taken.
 *
 * So no more is sent than is received, and nothing is lost for want of room: who receives faster is sent faster. When nothing is heard of
 * the receiver for long what is on its way is taken for lost.
 */
const HOST = "127.0.0.1";
const PATIENCE_MS = 1000;
const PAGES = 8;

/** How many datagrams are on their way, by what the receiver has told. */
class Credit {
  readonly #window: number;
  #sent = 0;
  #taken = 0;
  #takenBefore = 0;
  /** Taken for lost. */
  #lost = 0;
  #wake: () => void = () => {};

  constructor(window: number) {
    this.#window = window;
    setInterval(() => this.#look(), PATIENCE_MS).unref();
  }

  sent(count: number): void {
    this.#sent += count;
  }

  heard(taken: number): void {
    this.#taken = Math.max(this.#taken, taken);
    this.#lost = Math.min(this.#lost, this.#sent - this.#taken); // some were only late
    this.#wake();
  }

  /** Resolves when `count` more may be on their way. */
  async room(count: number): Promise<void> {
    await this.#atMost(this.#window - count);
  }

  /** Resolves when none is on its way. */
  async end(): Promise<void> {
    await this.#atMost(0);
  }

  async #atMost(count: number): Promise<void> {
    while (this.#sent - this.#taken - this.#lost > count) {
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  #look(): void {
    if (this.#taken === this.#takenBefore) this.#lost = this.#sent - this.#taken;
    this.#takenBefore = this.#taken;
    this.#wake();
  }
}

const port = Number(process.argv[2]);
const credit = new Credit(Number(process.argv[3]));
const pool = new JumboPool({ pageSizeBytes: 65_536, pagesMax: PAGES });
const socket = await bindUdp({ pool, address: HOST }, (batch) => {
  for (const { bytes } of batch) credit.heard(bytes.readUInt32LE(0));
});
socket.on("error", () => {}); // the receiver is gone: its own words say why
process.once("disconnect", () => void socket.close()); // whoever wanted this is gone

const bunch = makeTourBunch();
for (let sent = 0; sent < TOUR_DATAGRAMS; sent += TOUR_BUNCH) {
  await credit.room(TOUR_BUNCH);
  credit.sent(TOUR_BUNCH);
  stampTourBunch(bunch, sent);
  await socket.sendBatch([{ bytes: bunch, address: HOST, port }], { segmentBytes: TOUR_DATAGRAM_BYTES });
}
await credit.end();
const noMore: TourSent = { kind: "sent" };
tell(noMore);

import { createSocket } from "node:dgram";
import type { RemoteInfo, Socket } from "node:dgram";
import { setTimeout as delay } from "node:timers/promises";
import { JumboPool } from "../index.ts";
import type { PoolStats } from "../index.ts";
import { bindUdp } from "../udp/index.ts";
import { Meter } from "./meter.ts";
import type { Cost } from "./meter.ts";
import { DatagramTally, TOUR_BUNCH } from "./tour-datagrams.ts";
import type { TallyResult } from "./tour-datagrams.ts";
import { tell, tellProgress, tellResult } from "./tour-messages.ts";
import type { TourListening } from "./tour-messages.ts";

/**
 * A process of its own that receives the tour's datagrams once, in the way its argument says, and tells its parent how it went.
 *
 *     datagrams ──▶ tally
 *     for each bunch, how many have come ──▶ the sender, which lets no more be on their way than the socket has room for
 */
export type UdpTourWay = "jumbo" | "dgram";

export type UdpTourResult = Cost &
  TallyResult & {
    readonly kind: "result";
    readonly engine: string;
    readonly engineReason: string | null;
    /** System calls that read. */
    readonly reads: number;
    /** Null where nobody tells. A bunch that was dropped in one piece counts as one. */
    readonly kernelDrops: number | null;
    readonly pool: PoolStats | null;
  };

type Told = Pick<UdpTourResult, "engine" | "engineReason" | "reads" | "kernelDrops" | "pool">;

/** A bound socket, and what there is to say of it; it is asked before the socket is closed. */
type Way = { readonly socket: Socket; readonly describe: () => Told; readonly close: () => Promise<void> };

const HOST = "127.0.0.1";
const RECEIVE_BUFFER_BYTES = 4 * 2 ** 20;
const PAGES_MAX = 256;
/** More than the kernel reckons for one of the tour's datagrams, with everything around it. */
const ROOM_PER_DATAGRAM_BYTES = 4096;
const WINDOW_MAX = 1000;
/** The sender has said that there is no more, and nothing has come for so long. */
const QUIET_MS = 50;

/** Every bunch, tells the sender how many have come. */
class Acknowledger {
  #next = TOUR_BUNCH;

  /** What to send back; null when it is not the time. */
  due(taken: number): Buffer | null {
    if (taken < this.#next) return null;
    this.#next = taken - (taken % TOUR_BUNCH) + TOUR_BUNCH;
    const bytes = Buffer.allocUnsafe(4);
    bytes.writeUInt32LE(taken);
    return bytes;
  }
}

async function receiveWithJumbo(tally: DatagramTally): Promise<Way> {
  const pool = new JumboPool({ pageSizeBytes: 65_536, pagesMax: PAGES_MAX });
  const acknowledger = new Acknowledger();
  const options = { pool, address: HOST, recvBufferBytes: RECEIVE_BUFFER_BYTES };
  let sender: { readonly address: string; readonly port: number } | null = null;
  const receiver = await bindUdp(options, (batch) => {
    for (const datagram of batch) {
      tally.take(datagram.bytes);
      sender ??= { address: datagram.address, port: datagram.port };
    }
    const bytes = acknowledger.due(tally.taken);
    if (bytes !== null && sender !== null) receiver.send(bytes, sender).catch(() => {}); // the sender goes on without it
  });
  receiver.on("error", () => {}); // the sender is gone: what is missing shows
  const describe = (): Told => {
    const { engine, engineReason, reads, kernelDrops } = receiver.stats();
    const drops = engine === "recvmmsg" ? kernelDrops : null;
    return { engine, engineReason, reads, kernelDrops: drops, pool: pool.stats() };
  };
  return { socket: receiver.socket, describe, close: () => receiver.close() };
}

async function receiveWithDgram(tally: DatagramTally): Promise<Way> {
  const acknowledger = new Acknowledger();
  const socket = createSocket({ type: "udp4", recvBufferSize: RECEIVE_BUFFER_BYTES });
  const onMessage = (message: Buffer, { address, port }: RemoteInfo): void => {
    tally.take(message);
    const bytes = acknowledger.due(tally.taken);
    if (bytes !== null) socket.send(bytes, port, address, () => {}); // the sender goes on without it
  };
  socket.on("message", onMessage).on("error", () => {}); // the sender is gone: what is missing shows
  await new Promise<void>((resolve) => socket.bind(0, HOST, resolve));
  const told: Told = { engine: "'message'", engineReason: null, reads: 0, kernelDrops: null, pool: null };
  return {
    socket,
    describe: () => ({ ...told, reads: tally.taken }),
    close: () => new Promise((resolve) => socket.close(resolve)),
  };
}

async function untilQuiet(tally: DatagramTally): Promise<void> {
  for (let before = -1; before !== tally.taken; await delay(QUIET_MS)) before = tally.taken;
}

async function main(): Promise<void> {
  process.once("disconnect", () => process.exit());
  const meter = new Meter();
  const tally = new DatagramTally();
  const { socket, describe, close } = await (process.argv[2] === "dgram" ? receiveWithDgram : receiveWithJumbo)(tally);
  const window = Math.min(WINDOW_MAX, Math.floor(socket.getRecvBufferSize() / ROOM_PER_DATAGRAM_BYTES));
  const endProgress = tellProgress(() => tally.taken);
  meter.restart();
  const listening: TourListening = {
    kind: "listening",
    senderArguments: [String(socket.address().port), String(window)],
  };
  tell(listening);
  await new Promise((resolve) => process.once("message", resolve)); // TourSent, the only one there is
  await untilQuiet(tally);
  endProgress();
  const cost = meter.cost();
  const told = describe();
  await close();
  const result: UdpTourResult = { kind: "result", ...cost, ...tally.result(), ...told };
  tellResult(result);
}

await main();

import { createHash } from "node:crypto";
import { createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { JumboPool } from "../index.ts";
import type { PoolStats } from "../index.ts";
import { receive } from "../tcp/index.ts";
import { Meter } from "./meter.ts";
import type { Cost } from "./meter.ts";
import { tell, tellProgress, tellResult } from "./tour-messages.ts";
import type { TourListening } from "./tour-messages.ts";

/** A process of its own that receives the tour's content once, in the way its argument says, and tells its parent how it went. */
export type TourWay = "jumbo" | "net";

export type TourResult = Cost & {
  readonly kind: "result";
  readonly engine: string;
  readonly bytes: number;
  readonly seconds: number;
  readonly reads: number;
  readonly digest: string;
  /** Of the processor time, what hashing took: the same work in both ways. */
  readonly hashSeconds: number;
  readonly pool: PoolStats | null;
};

const PAGES_MAX = 256;

/** Takes bytes, where they are, and says what came: the same for both ways. */
class Tally {
  readonly #hash = createHash("sha256");
  bytes = 0;
  reads = 0;
  #hashMs = 0;

  take(bytes: Buffer): void {
    const before = performance.now();
    this.#hash.update(bytes);
    this.#hashMs += performance.now() - before;
    this.bytes += bytes.length;
    this.reads++;
  }

  result(): Pick<TourResult, "bytes" | "reads" | "digest" | "hashSeconds"> {
    const { bytes, reads } = this;
    return { bytes, reads, digest: this.#hash.digest("hex"), hashSeconds: this.#hashMs / 1000 };
  }
}

/** Starts to receive; returns what to say of it when the socket is closed. */
type Way = (socket: Socket, tally: Tally) => () => Pick<TourResult, "engine" | "pool">;

function receiveWithJumbo(socket: Socket, tally: Tally): ReturnType<Way> {
  const pool = new JumboPool({ pageSizeBytes: 65_536, pagesMax: PAGES_MAX });
  const receiver = receive(socket, { pool }, (mbuf) => tally.take(mbuf.bytes));
  return () => ({ engine: receiver.stats().engine, pool: pool.stats() });
}

function receiveWithNet(socket: Socket, tally: Tally): ReturnType<Way> {
  socket.on("data", (chunk: Buffer) => tally.take(chunk));
  return () => ({ engine: "'data'", pool: null });
}

function measure(socket: Socket, way: Way, meter: Meter): void {
  meter.restart();
  const startMs = performance.now();
  const tally = new Tally();
  const describe = way(socket, tally);
  const endProgress = tellProgress(() => tally.bytes);
  socket.on("close", () => {
    endProgress();
    const seconds = (performance.now() - startMs) / 1000;
    const result: TourResult = { kind: "result", seconds, ...meter.cost(), ...tally.result(), ...describe() };
    tellResult(result);
  });
}

function main(): void {
  const way = process.argv[2] === "net" ? receiveWithNet : receiveWithJumbo;
  const meter = new Meter();
  const server = createServer((socket) => {
    server.close();
    socket.on("error", () => {}); // what is missing shows in the digest
    measure(socket, way, meter);
  });
  server.listen(0, "127.0.0.1", () => {
    const { port } = server.address() as AddressInfo; // of a TCP server
    const listening: TourListening = { kind: "listening", senderArguments: [String(port)] };
    tell(listening);
  });
  process.once("disconnect", () => process.exit());
}

main();

/**
 * One way to receive TCP in Node, measured in a process of its own.
 *
 *     node --expose-gc dist/bench/tcp-candidate.js <data|onread|jumbo> PORT CONNECTIONS BYTES RETAIN
 *
 * Looks at one byte of each chunk. With RETAIN the last so many chunks are kept in a ring, the way each candidate keeps bytes: a stream's
 * chunk as it is, onread's as a copy, jumbo's held. CPU time is that of the whole process, from the first byte to the last.
 */
import net from "node:net";
import type { Socket } from "node:net";
import process from "node:process";
import { JumboPool } from "../src/index.ts";
import type { Mbuf } from "../src/mbuf/index.ts";
import { receive } from "../src/tcp/index.ts";
import { GcMeter, peakRssMb, printFigures } from "./figures.ts";
import type { Figures } from "./figures.ts";

type Connect = (port: number) => Socket;

/** A way to receive: opens connections, and has figures of its own in the end. */
type Receiving = { readonly connect: Connect; readonly finish?: () => Figures };

const BUFFER_BYTES = 65_536;
const PAGES_MAX = 4096;
const HOST = "127.0.0.1";

const candidates: Record<string, (total: Total, retain: number) => Receiving> = {
  data: receiveData,
  onread: receiveOnread,
  jumbo: receiveJumbo,
};

/** Adds up what arrives, and measures from the first byte to the last. */
class Total {
  readonly done: Promise<void>;
  readonly #bytesExpected: number;
  #resolve: () => void = () => {};
  #bytes = 0;
  #chunks = 0;
  #touched = 0;
  #start = 0;
  #seconds = 0;
  #cpu: NodeJS.CpuUsage = { user: 0, system: 0 };

  constructor(bytesExpected: number) {
    this.#bytesExpected = bytesExpected;
    this.done = new Promise((resolve) => (this.#resolve = resolve));
  }

  add(length: number, byte: number | undefined): void {
    if (this.#bytes === 0) {
      this.#start = performance.now();
      this.#cpu = process.cpuUsage();
    }
    this.#bytes += length;
    this.#chunks++;
    this.#touched ^= byte ?? 0;
    if (this.#bytes < this.#bytesExpected) return;
    this.#cpu = process.cpuUsage(this.#cpu);
    this.#seconds = (performance.now() - this.#start) / 1000;
    this.#resolve();
  }

  get figures(): Figures {
    if (this.#touched < 0) throw new Error("a byte is not negative");
    return {
      bytes: this.#bytes,
      chunks: this.#chunks,
      seconds: this.#seconds,
      userSeconds: this.#cpu.user / 1e6,
      systemSeconds: this.#cpu.system / 1e6,
    };
  }
}

function receiveData(total: Total, retain: number): Receiving {
  const ring: Buffer[] = [];
  let next = 0;
  const connect = (port: number): Socket =>
    net.connect({ port, host: HOST }).on("data", (chunk: Buffer) => {
      total.add(chunk.length, chunk[0]);
      if (retain === 0) return;
      ring[next] = chunk;
      next = (next + 1) % retain;
    });
  return { connect };
}

function receiveOnread(total: Total, retain: number): Receiving {
  const buffer = Buffer.alloc(BUFFER_BYTES);
  const ring: Buffer[] = [];
  let next = 0;
  const callback = (length: number): boolean => {
    total.add(length, buffer[0]);
    if (retain === 0) return true;
    ring[next] = Buffer.from(buffer.subarray(0, length));
    next = (next + 1) % retain;
    return true;
  };
  return { connect: (port) => net.connect({ port, host: HOST, onread: { buffer, callback } }) };
}

function receiveJumbo(total: Total, retain: number): Receiving {
  const pool = new JumboPool({ pageSizeBytes: BUFFER_BYTES, pagesMax: PAGES_MAX, stolenMax: 0 });
  const ring: Mbuf[] = [];
  let next = 0;
  const consume = (mbuf: Mbuf): void => {
    total.add(mbuf.length, mbuf.bytes[0]);
    if (retain === 0) return;
    ring[next]?.release();
    ring[next] = mbuf.hold();
    next = (next + 1) % retain;
  };
  const receivers: ReturnType<typeof receive>[] = [];
  const connect = (port: number): Socket => {
    const socket = net.connect({ port, host: HOST });
    receivers.push(receive(socket, { pool }, consume));
    return socket;
  };
  const finish = (): Figures => {
    const stats = receivers.map((receiver) => receiver.stats());
    const onread = stats.filter((one) => one.engine === "onread").length;
    return {
      pagesPeakMb: (pool.stats().inUsePeak * pool.pageSizeBytes) / 1e6,
      pauses: stats.reduce((sum, one) => sum + one.pauses, 0),
      onreadShare: onread / stats.length,
    };
  };
  return { connect, finish };
}

const [name = "", ...numbers] = process.argv.slice(2);
const [port = 0, connections = 0, bytes = 0, retain = 0] = numbers.map(Number);
const meter = new GcMeter();
const total = new Total(bytes);
const receiving = candidates[name]?.(total, retain);
if (receiving === undefined) throw new Error(`no candidate ${name}`);
const sockets = Array.from({ length: connections }, () => receiving.connect(port));
await total.done;
const rssMb = peakRssMb();
const gc = await meter.stop();
printFigures({
  ...total.figures,
  gcCount: gc.scavenges + gc.markCompacts,
  gcMs: gc.scavengeMs + gc.markCompactMs,
  scavenges: gc.scavenges,
  markCompacts: gc.markCompacts,
  peakRssMb: rssMb,
  ...receiving.finish?.(),
});
for (const socket of sockets) socket.destroy();

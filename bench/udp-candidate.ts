/**
 * One way to receive UDP in Node, measured in a process of its own.
 *
 *     node --expose-gc dist/bench/udp-candidate.js <dgram|jumbo|jumbo-drop-in|jumbo-drop-in-shared> RCVBUF
 *
 * Prints its port, and at the first end marker its figures. Looks at one byte of each datagram. CPU time is that of the whole
 * process, from the first datagram to the last. Modules are loaded by the candidate that uses them: dgram's process has no jumbo.
 */
import dgram from "node:dgram";
import type { Socket } from "node:dgram";
import { once } from "node:events";
import { monitorEventLoopDelay } from "node:perf_hooks";
import process from "node:process";
import { GcMeter, peakRssMb, printFigures } from "./figures.ts";
import type { Figures } from "./figures.ts";
import { DELAY_RESOLUTION_MS, UdpTotal } from "./udp-total.ts";

/** A bound receiver: figures of its own in the end, then it goes. */
type Receiving = { readonly port: number; readonly bufferBytes: number; readonly finish: () => Promise<Figures> };

const HOST = "127.0.0.1";
const PAGE_BYTES = 65_536;
const PAGES_MAX = 1024;

const candidates: Record<string, (total: UdpTotal, bufferBytes: number) => Promise<Receiving>> = {
  dgram: receiveDgram,
  jumbo: receiveJumbo,
  "jumbo-drop-in": (total, bufferBytes) => receiveDropIn(total, bufferBytes, false),
  "jumbo-drop-in-shared": (total, bufferBytes) => receiveDropIn(total, bufferBytes, true),
};

async function receiveDgram(total: UdpTotal, bufferBytes: number): Promise<Receiving> {
  const socket = dgram.createSocket({ type: "udp4", recvBufferSize: bufferBytes });
  socket.on("message", (message) => total.add(message));
  await bound(socket);
  return { ...whereabouts(socket), finish: () => closed(socket, {}) };
}

async function receiveJumbo(total: UdpTotal, bufferBytes: number): Promise<Receiving> {
  const { JumboPool } = await import("../src/index.ts");
  const { bindUdp } = await import("../src/udp/index.ts");
  const pool = new JumboPool({ pageSizeBytes: PAGE_BYTES, pagesMax: PAGES_MAX, stolenMax: 0 });
  const receiver = await bindUdp({ pool, address: HOST, recvBufferBytes: bufferBytes }, (batch) => {
    for (const datagram of batch) total.add(datagram.bytes);
  });
  const finish = async (): Promise<Figures> => {
    const { engine, gro, batches, reads, wakeups, pauses, kernelDrops } = receiver.stats();
    await receiver.close();
    return {
      isRecvmmsg: Number(engine === "recvmmsg"),
      superDatagrams: gro.superDatagrams,
      batches,
      reads,
      wakeups,
      pauses,
      kernelDrops,
      pagesPeak: pool.stats().inUsePeak,
    };
  };
  return { ...whereabouts(receiver.socket), finish };
}

async function receiveDropIn(total: UdpTotal, bufferBytes: number, shareMemory: boolean): Promise<Receiving> {
  const jumbo = await import("../src/dgram/index.ts");
  const socket = jumbo.createSocket({ type: "udp4", recvBufferSize: bufferBytes, shareMemory });
  socket.on("message", (message: Buffer) => total.add(message));
  await bound(socket);
  const finish = (): Promise<Figures> => {
    const { engine, gro, batches, wakeups, kernelDrops } = socket.stats();
    const isRecvmmsg = Number(engine === "recvmmsg");
    return closed(socket, { isRecvmmsg, superDatagrams: gro.superDatagrams, batches, wakeups, kernelDrops });
  };
  return { ...whereabouts(socket), finish };
}

async function bound(socket: Socket): Promise<void> {
  socket.bind(0, HOST);
  await once(socket, "listening");
}

async function closed(socket: Socket, figures: Figures): Promise<Figures> {
  socket.close();
  await once(socket, "close");
  return figures;
}

function whereabouts(socket: Socket): { readonly port: number; readonly bufferBytes: number } {
  return { port: socket.address().port, bufferBytes: socket.getRecvBufferSize() };
}

const [name = "", bufferBytes = "0"] = process.argv.slice(2);
const total = new UdpTotal(monitorEventLoopDelay({ resolution: DELAY_RESOLUTION_MS }));
const receiving = await candidates[name]?.(total, Number(bufferBytes));
if (receiving === undefined) throw new Error(`no candidate ${name}`);
const meter = new GcMeter();
console.log(receiving.port);
await total.done;
const rssMb = peakRssMb();
const own = await receiving.finish();
const gc = await meter.stop();
printFigures({
  ...total.figures,
  gcCount: gc.scavenges + gc.markCompacts,
  gcMs: gc.scavengeMs + gc.markCompactMs,
  peakRssMb: rssMb,
  bufferBytes: receiving.bufferBytes,
  ...own,
});

/**
 * UDP sockets that wait, measured in a process of its own.
 *
 *     node --expose-gc dist/bench/udp-idle.js <dgram|jumbo|jumbo-drop-in> SOCKETS SECONDS
 *
 * Each socket gets one datagram first, so that whatever a receiver sets up on its first read is there. Then nothing comes, and the
 * CPU time of the whole process over SECONDS is taken.
 */
import dgram from "node:dgram";
import type { Socket } from "node:dgram";
import { once } from "node:events";
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import { printFigures } from "./figures.ts";

/** Waiting sockets: their ports, and how many pages they have in use, where that can be asked for. */
type Idle = { readonly ports: readonly number[]; readonly pagesInUse?: () => number };
type Open = (count: number, onDatagram: () => void) => Promise<Idle>;

const HOST = "127.0.0.1";
const PAGE_BYTES = 65_536;
const PAGES_MAX = 2048;
const SETTLE_MS = 1000;

const candidates: Record<string, Open> = { dgram: openDgram, jumbo: openJumbo, "jumbo-drop-in": openDropIn };

async function openDgram(count: number, onDatagram: () => void): Promise<Idle> {
  const sockets = await bindAll(count, onDatagram, () => dgram.createSocket("udp4"));
  return { ports: sockets.map((socket) => socket.address().port) };
}

async function openJumbo(count: number, onDatagram: () => void): Promise<Idle> {
  const { JumboPool } = await import("../src/index.ts");
  const { bindUdp } = await import("../src/udp/index.ts");
  const pool = new JumboPool({ pageSizeBytes: PAGE_BYTES, pagesMax: PAGES_MAX, stolenMax: 0 });
  const ports: number[] = [];
  for (let i = 0; i < count; i++) {
    const receiver = await bindUdp({ pool, address: HOST }, (batch) => {
      for (const _ of batch) onDatagram();
    });
    ports.push(receiver.address().port);
  }
  return { ports, pagesInUse: () => pool.stats().inUse };
}

async function openDropIn(count: number, onDatagram: () => void): Promise<Idle> {
  const jumbo = await import("../src/dgram/index.ts");
  const sockets = await bindAll(count, onDatagram, () => jumbo.createSocket("udp4"));
  const pagesInUse = (): number => sockets[0]?.stats().pagesInUse ?? Number.NaN; // of the thread's pool, which all share
  return { ports: sockets.map((socket) => socket.address().port), pagesInUse };
}

async function bindAll<S extends Socket>(count: number, onDatagram: () => void, create: () => S): Promise<S[]> {
  const sockets = Array.from({ length: count }, () => create().on("message", onDatagram).bind(0, HOST));
  await Promise.all(sockets.map((socket) => once(socket, "listening")));
  return sockets;
}

/** Resolves when all of them have arrived. */
async function sendOneEach(ports: readonly number[], arrived: Promise<void>): Promise<void> {
  const sender = dgram.createSocket("udp4");
  for (const port of ports) sender.send("one", port, HOST);
  await arrived;
  sender.close();
}

const [name = "", ...numbers] = process.argv.slice(2);
const [count = 0, seconds = 0] = numbers.map(Number);
const open = candidates[name];
if (open === undefined) throw new Error(`no candidate ${name}`);
let missing = count;
let resolveArrived: () => void = () => {};
const arrived = new Promise<void>((resolve) => (resolveArrived = resolve));
const idle = await open(count, () => {
  if (--missing === 0) resolveArrived();
});
await sendOneEach(idle.ports, arrived);
globalThis.gc?.();
await delay(SETTLE_MS);
const start = performance.now();
const before = process.cpuUsage();
await delay(seconds * 1000);
const { user, system } = process.cpuUsage(before);
const cpuPercent = ((user + system) / 1e3 / (performance.now() - start)) * 100;
const pages = idle.pagesInUse === undefined ? {} : { pagesInUse: idle.pagesInUse() };
printFigures({ cpuPercent, ...pages, rssMb: process.memoryUsage().rss / 1e6 });
process.exit(0);

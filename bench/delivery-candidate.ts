/**
 * One way to pass bytes on in Node, measured in a process of its own.
 *
 *     node --expose-gc dist/bench/delivery-candidate.js relay <pipeline|pages|splice> ORIGIN_PORT
 *     node --expose-gc dist/bench/delivery-candidate.js file <pipeline|jumbo> ORIGIN_PORT FILE
 *     node --expose-gc dist/bench/delivery-candidate.js stream <socket|readableOf|duplexOf|toWeb|webStreamOf> ORIGIN_PORT
 *     node --expose-gc dist/bench/delivery-candidate.js into <data|pages|recv> ORIGIN_PORT
 *
 * relay: prints its port, takes one connection, passes on what the origin sends, both ways, and prints its figures.
 * file: writes what the origin sends. stream: drops it. into: puts it into the memory of a WebAssembly module. CPU time is that of the whole process, from the connection to the end.
 */
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { open } from "node:fs/promises";
import net from "node:net";
import process from "node:process";
import { Readable, Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { ChainWriter, duplexOf, readableOf, receiveInto, relay, webStreamOf } from "../src/delivery/index.ts";
import { JumboPool } from "../src/index.ts";
import { receive } from "../src/tcp/index.ts";
import { GcMeter, peakRssMb, printFigures } from "./figures.ts";

const HOST = "127.0.0.1";
const PAGE_BYTES = 65_536;
const UNWRITTEN_BYTES_MAX = 64 * PAGE_BYTES;
const WINDOW_BYTES = 4 * 2 ** 20;

declare const WebAssembly: {
  Memory: new (limits: { initial: number; maximum: number }) => { readonly buffer: ArrayBuffer };
};

const pool = new JumboPool({ pageSizeBytes: PAGE_BYTES, pagesMax: 1024, stolenMax: 0 });
const gc = new GcMeter();

async function measured(work: () => Promise<number>): Promise<void> {
  await gc.restart();
  const before = process.cpuUsage();
  const start = performance.now();
  const bytes = await work();
  const { user, system } = process.cpuUsage(before);
  const seconds = (performance.now() - start) / 1000;
  const { scavengeMs, markCompactMs } = await gc.stop();
  printFigures({
    bytes,
    seconds,
    userSeconds: user / 1e6,
    systemSeconds: system / 1e6,
    gcMs: scavengeMs + markCompactMs,
    peakRssMb: peakRssMb(),
  });
}

async function passOn(kind: string, client: net.Socket, originPort: number): Promise<number> {
  const origin = net.connect({ port: originPort, host: HOST, allowHalfOpen: true });
  if (kind === "pipeline") {
    await Promise.all([pipeline(origin, client), pipeline(client, origin)]);
    return origin.bytesRead;
  }
  const engine = kind === "splice" ? "splice" : "pages";
  const down = relay(origin, client, { pool, engine });
  await Promise.all([down.done, relay(client, origin, { pool, engine }).done]);
  return down.stats().bytesWritten;
}

async function relayOnce(kind: string, originPort: number): Promise<void> {
  const server = net.createServer({ allowHalfOpen: true }).listen(0, HOST);
  await once(server, "listening");
  const { port } = server.address() as net.AddressInfo; // it listens on TCP
  process.stdout.write(`${port}\n`);
  const [client] = (await once(server, "connection")) as [net.Socket];
  server.close();
  await measured(() => passOn(kind, client, originPort));
}

async function writeFile(kind: string, originPort: number, file: string): Promise<number> {
  const socket = net.connect(originPort, HOST);
  if (kind === "pipeline") await pipeline(socket, createWriteStream(file));
  else await writeFromPages(socket, file);
  return socket.bytesRead;
}

async function writeFromPages(socket: net.Socket, file: string): Promise<void> {
  const handle = await open(file, "w");
  const onFailure = (error: unknown): void => void socket.destroy(error as Error); // the system's
  const writer = new ChainWriter(handle, { unwrittenBytesMax: UNWRITTEN_BYTES_MAX, onFailure });
  receive(socket, { pool }, (mbuf) => writer.append(mbuf));
  await once(socket, "end");
  await writer.drained();
  await handle.close();
}

/** Into the memory of a WebAssembly module, a window at a time. */
async function fillWindows(kind: string, originPort: number): Promise<number> {
  const wasmPages = WINDOW_BYTES / 65_536;
  const window = new Uint8Array(new WebAssembly.Memory({ initial: wasmPages, maximum: wasmPages }).buffer);
  const socket = net.connect(originPort, HOST);
  if (kind === "data") return setWindows(socket, window);
  let bytes = 0;
  for (;;) {
    const count = await receiveInto(socket, window, { pool, engine: kind === "recv" ? "recv" : "pages" });
    bytes += count;
    if (count < window.length) return bytes;
  }
}

async function setWindows(socket: net.Socket, window: Uint8Array): Promise<number> {
  let at = 0;
  socket.on("data", (chunk: Buffer) => {
    const head = chunk.subarray(0, window.length - at);
    window.set(head, at);
    const rest = chunk.subarray(head.length);
    if (rest.length > 0) window.set(rest);
    at = (at + chunk.length) % window.length;
  });
  await once(socket, "end");
  return socket.bytesRead;
}

/** Takes all that a stream brings, and drops it. */
async function dropAll(kind: string, originPort: number): Promise<number> {
  const socket = net.connect(originPort, HOST);
  const sink = new Writable({ write: (_chunk, _encoding, done) => done() });
  if (kind === "socket") await pipeline(socket, sink);
  else if (kind === "readableOf") await pipeline(readableOf(receive(socket, { pool })), sink);
  else if (kind === "duplexOf") await pipeline(duplexOf(socket, { pool }), sink);
  else for await (const _chunk of kind === "toWeb" ? Readable.toWeb(socket) : webStreamOf(receive(socket, { pool })));
  return socket.bytesRead;
}

const [mode, kind = "", port, file = ""] = process.argv.slice(2);
if (mode === "relay") await relayOnce(kind, Number(port));
else if (mode === "stream") await measured(() => dropAll(kind, Number(port)));
else if (mode === "into") await measured(() => fillWindows(kind, Number(port)));
else await measured(() => writeFile(kind, Number(port), file));
process.exit();

/**
 * What udp-candidate.ts does, with Bun.udpSocket. Run by Bun, compiled like the rest.
 *
 *     bun dist/bench/udp-bun.js RCVBUF        prints its port, and at the first end marker its figures
 *
 * Bun has no option for the receive buffer, so it is set with setsockopt(2); the numbers are Linux's.
 */
import process from "node:process";
import { peakRssMb, printFigures } from "./figures.ts";
import { UdpTotal } from "./udp-total.ts";

/** The part of Bun that is used here; its types are not installed. */
declare const Bun: {
  udpSocket(options: {
    hostname: string;
    port: number;
    socket: { data: (socket: unknown, message: Buffer) => void };
  }): Promise<{ readonly port: number; readonly fd: number }>;
};
type OptionCall = (fd: number, level: number, option: number, value: number, length: number) => number;
type BunFfi = {
  readonly ptr: (view: Int32Array) => number;
  readonly dlopen: (library: string, symbols: object) => { readonly symbols: Readonly<Record<string, OptionCall>> };
};

const SOL_SOCKET = 1;
const SO_RCVBUF = 8;
const INT_BYTES = 4;
const LIBRARIES = ["libc.so.6", "libc.so"];

/** Sets SO_RCVBUF. Returns what the kernel made of it. */
async function setBufferBytes(fd: number, wanted: number): Promise<number> {
  const name: string = "bun:ffi"; // Not a literal type: tsc would look for the module.
  const { dlopen, ptr } = (await import(name)) as BunFfi;
  const signature = (last: string): object => ({ args: ["int", "int", "int", "ptr", last], returns: "int" });
  const calls = { setsockopt: signature("int"), getsockopt: signature("ptr") };
  const open = (library: string): ReturnType<BunFfi["dlopen"]> | null => {
    try {
      return dlopen(library, calls);
    } catch {
      return null; // The name of the other C library.
    }
  };
  const symbols = LIBRARIES.map(open).find((opened) => opened !== null)?.symbols;
  const value = new Int32Array([wanted]);
  const length = new Int32Array([INT_BYTES]);
  const status =
    symbols?.["setsockopt"]?.(fd, SOL_SOCKET, SO_RCVBUF, ptr(value), INT_BYTES) ||
    symbols?.["getsockopt"]?.(fd, SOL_SOCKET, SO_RCVBUF, ptr(value), ptr(length));
  if (status !== 0) throw new Error("SO_RCVBUF could not be set");
  return value[0] ?? 0;
}

const total = new UdpTotal(null);
const socket = await Bun.udpSocket({
  hostname: "127.0.0.1",
  port: 0,
  socket: { data: (_, message) => total.add(message) },
});
const bufferBytes = await setBufferBytes(socket.fd, Number(process.argv[2]));
console.log(socket.port);
await total.done;
printFigures({ ...total.figures, peakRssMb: peakRssMb(), bufferBytes });
process.exit(0);

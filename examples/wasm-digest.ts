/**
 * Receives straight into the memory of a WebAssembly module, which computes a digest (FNV-1a) of what lies there: JavaScript looks at no byte.
 *
 *     node dist/examples/wasm-digest.js --port 9000
 *     socat -u FILE:big.bin TCP:127.0.0.1:9000
 *
 * Where there are system calls the kernel itself writes into the module's memory. Else it writes into pages, and they, or their bytes, are put there. One line for
 * each connection, and how its bytes went.
 */
import { createServer } from "node:net";
import type { Socket } from "node:net";
import { parseArgs } from "node:util";
import { JumboPool } from "jumbo";
import { receiveInto, zeroCopy } from "jumbo/delivery";

/** The part of the standard WebAssembly interface used here; @types/node does not declare it. */
declare const WebAssembly: {
  Memory: new (limits: { initial: number; maximum: number }) => { readonly buffer: ArrayBuffer };
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object, imports: object) => { readonly exports: Exports };
};
type Exports = { readonly digest: (at: number, lengthBytes: number, before: number) => number };

/**
 *     (module (import "e" "m" (memory 1))
 *       (func (export "digest") (param $at i32) (param $left i32) (param $hash i32) (result i32)
 *         (block (loop (br_if 1 (i32.eqz (local.get $left)))
 *           (local.set $hash (i32.mul (i32.xor (local.get $hash) (i32.load8_u (local.get $at))) (i32.const 16777619)))
 *           (local.set $at (i32.add (local.get $at) (i32.const 1)))
 *           (local.set $left (i32.sub (local.get $left) (i32.const 1)))
 *           (br 0)))
 *         (local.get $hash)))
 */
const MODULE =
  "AGFzbQEAAAABCAFgA39/fwF/AggBAWUBbQIAAQMCAQAHCgEGZGlnZXN0AAAKMQEvAAJAA0AgAUUNASACIAAtAABzQZODgAhsIQIgAEEBaiEAIAFBAWshAQwACwsgAgs=";
const WASM_PAGE_BYTES = 65_536;
const WINDOW_BYTES = 4 * 2 ** 20;
const FNV_OFFSET = 0x811c_9dc5;

const pages = WINDOW_BYTES / WASM_PAGE_BYTES;
const pool = new JumboPool({ pageSizeBytes: 65_536, pagesMax: 1024 });
const module = new WebAssembly.Module(Buffer.from(MODULE, "base64"));

async function digestOf(socket: Socket): Promise<{ bytes: number; digest: string }> {
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
  const { exports } = new WebAssembly.Instance(module, { e: { m: memory } });
  const window = new Uint8Array(memory.buffer);
  let bytes = 0;
  let hash = FNV_OFFSET;
  for (;;) {
    const count = await receiveInto(socket, window, { pool });
    hash = exports.digest(0, count, hash);
    bytes += count;
    if (count < window.length) return { bytes, digest: (hash >>> 0).toString(16).padStart(8, "0") };
  }
}

const { values } = parseArgs({ options: { port: { type: "string", default: "9000" } } });
const server = createServer((socket) => {
  digestOf(socket).then(
    ({ bytes, digest }) => print(`${digest}  ${bytes} bytes; in all ${how()}`),
    (error: unknown) => print(String(error)),
  );
});
server.listen(Number(values.port), "127.0.0.1", () => {
  const address = server.address();
  print(`listening on port ${typeof address === "object" ? address?.port : address}`);
});

function how(): string {
  const { received, flipped, copied } = zeroCopy;
  return `${received} bytes received in place, ${flipped} pages flipped, ${copied} bytes copied`;
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

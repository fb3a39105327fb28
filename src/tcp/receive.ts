import { Socket } from "node:net";
import { Readable } from "node:stream";
import { JumboError } from "../errors.ts";
import { checkedInteger } from "../option.ts";
import type { Mbuf } from "../mbuf/mbuf.ts";
import { PageFiller } from "../mbuf/page-filler.ts";
import { JumboPool } from "../pool/pool.ts";
import { readPagesOf } from "./armed-run.ts";
import { ChunkReader } from "./chunk-reader.ts";
import { handleOf, onreadKeys } from "./node-internals.ts";
import type { OnreadKeys } from "./node-internals.ts";
import { PageGate } from "../pool/page-gate.ts";
import { PageReader } from "./page-reader.ts";
import type { TcpEngine } from "./reader.ts";
import { Receiver } from "./receiver.ts";
import type { OnMbuf } from "./receiver.ts";

/** What `receive()` takes beside the socket. */
export type ReceiveOptions = {
  /** Where the pages come from. Several sockets share one pool. */
  readonly pool: JumboPool;
  /** `auto` (default): `onread` where this Node and this socket allow it, else `data`, with the reason in `stats()`. */
  readonly engine?: "auto" | TcpEngine;
  /**
   * The most pages that one read fills: so many may be armed for a busy socket, and wait for a consumer that is behind. Default 256 KiB of them,
   * and a 64th of the pool. 1 is enough for messages; bulk costs half of the system's time with more.
   */
  readonly readPagesMax?: number | undefined;
};

const receivers = new WeakMap<Readable, Receiver>();

/**
 * Receives from `socket` into the pages of a pool: a connecting or connected `net.Socket`, accepted by any `net.Server` (call it in the
 * `'connection'` handler), TLS on either side, a Unix socket, a child's pipe, stdin.
 *
 *     kernel ──▶ page ──▶ mbuf ──▶ you          no copy on a busy socket (32 of them a thread); see below
 *
 * Copied once are the first read after an idle time (16 KiB at most), what TLS has decrypted, and what is read by the 33rd busy
 * socket and further ones; `stats().bytesCopied` tells.
 *
 * Each mbuf is borrowed: see `Mbuf`. `'end'`, `'close'`, `'error'`, timeouts, `pause()`, `resume()` and writing are as on any socket;
 * `'data'` and reading from the socket itself are not for you until it has closed. When the pool runs short reading stops, and
 * goes on when pages are back. A consumer that throws destroys the socket with that error.
 *
 * @param onMbuf called for each mbuf, in order, one at a time; without it, iterate the receiver with `for await`
 * @throws JumboError `ERR_JUMBO_SOCKET_INVALID`, `ERR_JUMBO_RECEIVER_ACTIVE`, `ERR_JUMBO_OPTION_INVALID`, `ERR_JUMBO_POOL_CLOSED`
 */
export function receive(socket: Readable, options: ReceiveOptions, onMbuf?: (mbuf: Mbuf) => unknown): Receiver {
  const { pool, engine, readPagesMax } = checked(socket, options, onMbuf);
  const choice = engine === "data" ? { keys: null, reason: null } : onreadFor(socket);
  if (engine === "onread" && choice.keys === null) throw optionError(`engine "onread" cannot be had: ${choice.reason}`);

  const gate = PageGate.of(pool);
  const filler = PageFiller.of(pool);
  const receiver = new Receiver(socket, gate, onMbuf ?? null, choice.keys === null ? choice.reason : null);
  receivers.set(socket, receiver);
  if (choice.keys !== null && socket instanceof Socket) {
    const reader = new PageReader(socket, choice.keys, { pool, filler, readPagesMax }, receiver);
    reader.attach();
    receiver.start(reader);
  } else {
    const reader = new ChunkReader(socket, pool.pageSizeBytes, filler, receiver);
    reader.attach();
    receiver.start(reader);
  }
  return receiver;
}

/** The keys to arm `socket` with, or why it cannot be armed. */
function onreadFor(socket: Readable): { readonly keys: OnreadKeys } | { readonly keys: null; readonly reason: string } {
  const found = onreadKeys();
  if (found.keys === null) return found;
  if (!(socket instanceof Socket)) return { keys: null, reason: "this is a stream and no net.Socket" };
  if (handleOf(socket) === null)
    return { keys: null, reason: "this socket's handle cannot read into a buffer of ours" };
  return found;
}

/**
 * Nobody receives from `socket` yet, and it has bytes to give.
 * @throws JumboError `ERR_JUMBO_SOCKET_INVALID`, `ERR_JUMBO_RECEIVER_ACTIVE`
 */
export function assertReceivable(socket: Readable): void {
  if (!(socket instanceof Readable)) throw socketError("receive() wants a net.Socket or another readable stream");
  if (socket.destroyed || socket.readableEnded)
    throw socketError("the socket is destroyed or at its end: nothing can be received from it");
  if (socket.readableObjectMode || socket.readableEncoding !== null)
    throw socketError("the stream gives objects or strings, not bytes");
  if (receivers.get(socket)?.isClosed === false)
    throw new JumboError("ERR_JUMBO_RECEIVER_ACTIVE", "this socket has a receiver already, until it closes");
  const { keys } = onreadKeys();
  if (keys !== null && Reflect.get(socket, keys.buffer))
    throw socketError("the socket has an onread option of its own");
}

function checked(
  socket: Readable,
  options: ReceiveOptions,
  onMbuf: OnMbuf | undefined,
): { pool: JumboPool; engine: "auto" | TcpEngine; readPagesMax: number } {
  assertReceivable(socket);
  if (onMbuf !== undefined && typeof onMbuf !== "function") throw optionError("onMbuf must be a function");
  const { pool, engine = "auto" } = options ?? {};
  if (!(pool instanceof JumboPool)) throw optionError("pool must be a JumboPool");
  if (engine !== "auto" && engine !== "onread" && engine !== "data")
    throw optionError('engine must be "auto", "onread" or "data"');
  if (pool.isClosed) throw new JumboError("ERR_JUMBO_POOL_CLOSED", "the pool has been closed");
  const { readPagesMax = readPagesOf(pool) } = options;
  return { pool, engine, readPagesMax: checkedInteger("readPagesMax", readPagesMax, 1, pool.pagesMax) };
}

function socketError(text: string): JumboError {
  return new JumboError("ERR_JUMBO_SOCKET_INVALID", text);
}

function optionError(text: string): JumboError {
  return new JumboError("ERR_JUMBO_OPTION_INVALID", text);
}

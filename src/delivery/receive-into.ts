import { fstatSync } from "node:fs";
import type { Socket } from "node:net";
import { JumboError } from "../errors.ts";
import { optionInvalid } from "../option.ts";
import { loadRecvCall } from "../os/recv-call.ts";
import type { RecvCallOrReason } from "../os/recv-call.ts";
import { JumboPool } from "../pool/pool.ts";
import { assertReceivable } from "../tcp/receive.ts";
import { whyNoHandles } from "../udp/node-internals.ts";
import { IntoIntake } from "./into-intake.ts";
import type { IntoEngine } from "./into-source.ts";
import { descriptorOf, whyNoKernelSocket } from "./socket-handle.ts";

/** What `receiveInto()` takes beside socket and target. */
export type ReceiveIntoOptions = {
  /** Where the pages come from, when pages are needed. */
  readonly pool: JumboPool;
  /** `auto` (default): `recv` where the kernel can write into the target itself, else `pages`; {@link receiveIntoEngine} tells why. */
  readonly engine?: "auto" | IntoEngine;
};

const intakes = new WeakMap<Socket, IntoIntake>();

/**
 * Receives from `socket` into memory of yours, until it is full or the socket has ended: the zero_copy(9) read.
 *
 *     recv     kernel ──────────▶ target                  no page, no copy but the kernel's: Linux with koffi, TCP and Unix sockets
 *     pages    kernel ──▶ page ──▶ target                 everywhere: flipped where it pays, else copied once, as by {@link moveInto}
 *
 * Either way the bytes are the same; `zeroCopy` counts. With `recv` the socket's `bytesRead` does not.
 *
 * One call after the other on one socket; the first one's `options` count. Until the call settles the target is ours. Between calls nothing is
 * read: what comes waits in the kernel (with `pages`, what has arrived already in pages), and an end or reset is seen by the next call. Read
 * to the end, or destroy the socket before it.
 *
 * @returns how many bytes: `target.length`, or less at the end of the socket; 0 after it
 * @throws (as rejection) JumboError `ERR_JUMBO_OPTION_INVALID`, `ERR_JUMBO_RECEIVER_ACTIVE` while another call is pending, as `receive()`;
 *   `ERR_JUMBO_TARGET_LOST` when the target is detached (`memory.grow`, a transfer) or has shrunk before it was full; the socket's error: what
 *   came before it is returned first
 */
export async function receiveInto(socket: Socket, target: Uint8Array, options: ReceiveIntoOptions): Promise<number> {
  if (!(target instanceof Uint8Array)) throw optionInvalid("target", "a Uint8Array", target);
  let intake = intakes.get(socket);
  if (intake === undefined) intakes.set(socket, (intake = intakeOf(socket, options)));
  return intake.take(target);
}

/** How {@link receiveInto} reads from `socket`, or would, and why it is not `recv`; null when it is, or when the caller chose. */
export function receiveIntoEngine(socket: Socket): {
  readonly engine: IntoEngine;
  readonly engineReason: string | null;
} {
  const intake = intakes.get(socket);
  if (intake !== undefined) return { engine: intake.engine, engineReason: intake.engineReason };
  const found = recvFor(socket);
  return found.call === null ? { engine: "pages", engineReason: found.reason } : { engine: "recv", engineReason: null };
}

function intakeOf(socket: Socket, options: ReceiveIntoOptions): IntoIntake {
  assertReceivable(socket);
  const { pool, engine = "auto" } = options ?? {};
  if (!(pool instanceof JumboPool)) throw optionInvalid("pool", "a JumboPool", pool);
  if (pool.isClosed) throw new JumboError("ERR_JUMBO_POOL_CLOSED", "the pool has been closed");
  if (engine !== "auto" && engine !== "recv" && engine !== "pages")
    throw optionInvalid("engine", '"auto", "recv" or "pages"', engine);
  if (engine === "pages") return new IntoIntake(socket, pool, null, null);
  const found = recvFor(socket);
  if (found.call !== null) return new IntoIntake(socket, pool, found.call, null);
  if (engine === "recv") throw optionInvalid("engine", `one that can be had (${found.reason})`, engine);
  return new IntoIntake(socket, pool, null, found.reason);
}

/** The system call to receive with, or why the kernel cannot write to a target from `socket`. */
function recvFor(socket: Socket): RecvCallOrReason {
  const reason = whyNoHandles() ?? whyNoKernelSocket(socket) ?? whyNoSocket(socket);
  return reason === null ? loadRecvCall() : { call: null, reason };
}

/** A pipe between processes has the same handle as a Unix socket. */
function whyNoSocket(socket: Socket): string | null {
  const fd = descriptorOf(socket);
  return fd < 0 || fstatSync(fd).isSocket() ? null : "a pipe is no socket";
}

import { Socket } from "node:dgram";
import { JumboError } from "../errors.ts";
import { PageFiller } from "../mbuf/page-filler.ts";
import { optionInvalid } from "../option.ts";
import { loadUdpCalls } from "../os/udp-calls.ts";
import type { UdpCalls } from "../os/udp-calls.ts";
import { PageGate } from "../pool/page-gate.ts";
import type { JumboPool } from "../pool/pool.ts";
import { askForEcn, askForLocalAddress, setGro } from "./kernel-options.ts";
import { MessageReader } from "./message-reader.ts";
import { MmsgReader } from "./mmsg-reader.ts";
import { handleOf, whyNoHandles } from "./node-internals.ts";
import { receiveSettings } from "./options.ts";
import type { ReceiveSettings, UdpReceiveOptions } from "./options.ts";
import { UdpReceiver } from "./receiver.ts";
import type { OnBatch } from "./receiver.ts";
import type { RowsSink, UdpReader } from "./reader.ts";
import { Sender } from "./sender.ts";
import { checkNotTaken, takeSocket } from "./taken-sockets.ts";

/**
 * Receives from `socket`, a bound socket of `node:dgram`, into the pages of a pool, many datagrams at a time.
 *
 *     kernel ──recvmmsg──▶ pages ──▶ batch ──▶ you        no copy of a datagram up to 2 KiB; of longer ones, 2 KiB
 *
 * The socket's `'message'` events end; everything else of it is as before, and it is the receiver's to close.
 *
 * @param onBatch called for each batch, one at a time; without it, iterate the receiver with `for await`
 * @throws JumboError `ERR_JUMBO_SOCKET_INVALID`, `ERR_JUMBO_RECEIVER_ACTIVE`, `ERR_JUMBO_OPTION_INVALID`, `ERR_JUMBO_POOL_CLOSED`
 */
export function receiveUdp(socket: Socket, options: UdpReceiveOptions, onBatch?: OnBatch): UdpReceiver {
  const settings = receiveSettings(options, onBatch);
  const isIPv6 = checkedSocket(socket).family === "IPv6";
  const receiver = new UdpReceiver(socket, PageGate.of(settings.pool), onBatch ?? null);
  const { reader, engineReason, calls } = makeReader(socket, settings, receiver);
  takeSocket(socket);
  const gro = { isOn: false, reason: settings.gro ? (engineReason ?? "the dgram engine was chosen") : null };
  const fd = handleOf(socket)?.fd ?? -1;
  if (calls !== null && reader.engine === "recvmmsg") {
    gro.reason = setGro(calls, fd, settings.pool.pageSizeBytes, settings.gro);
    gro.isOn = settings.gro && gro.reason === null;
    if (settings.ecn) askForEcn(calls, fd, isIPv6);
    if (settings.localAddress) askForLocalAddress(calls, fd, isIPv6);
  }
  receiver.start({ reader, sender: new Sender(socket, calls, isIPv6), engineReason, gro });
  return receiver;
}

type Made = { readonly reader: UdpReader; readonly engineReason: string | null; readonly calls: UdpCalls | null };

/** The engine that was asked for, or the best one there is. @throws JumboError `ERR_JUMBO_OPTION_INVALID` */
function makeReader(socket: Socket, settings: ReceiveSettings, sink: RowsSink): Made {
  const { pool, engine, coalesceMicroseconds } = settings;
  const found = loadUdpCalls();
  const { calls } = whyNoHandles() === null ? found : { calls: null };
  let reason: string | null = null;
  if (engine !== "dgram") {
    reason = found.calls === null ? found.reason : (whyNoHandles() ?? whyPoolTooSmall(pool));
    try {
      if (reason === null && found.calls !== null)
        return {
          reader: new MmsgReader(socket, { pool, calls: found.calls, sink, coalesceMicroseconds }),
          engineReason: null,
          calls,
        };
    } catch (error) {
      reason = error instanceof Error ? error.message : String(error);
    }
    if (engine === "recvmmsg") throw optionInvalid("engine", `"auto" or "dgram" here (${reason})`, engine);
  }
  const reader = new MessageReader(socket, pool.pageSizeBytes, PageFiller.of(pool), sink);
  return { reader, engineReason: reason, calls: engine === "dgram" ? null : calls };
}

/** A row needs two pages; so many must be there when the pool's gate lets a receiver go on. */
function whyPoolTooSmall({ highPages }: JumboPool): string | null {
  return highPages >= 2 ? null : "the pool's high watermark is below two pages";
}

/** Where it is bound. @throws JumboError */
function checkedSocket(socket: Socket): { readonly family: string } {
  if (!(socket instanceof Socket)) throw socketError("receiveUdp() wants a socket of node:dgram");
  checkNotTaken(socket);
  try {
    return socket.address();
  } catch {
    throw socketError("the socket is not bound: wait for its 'listening' event");
  }
}

function socketError(text: string): JumboError {
  return new JumboError("ERR_JUMBO_SOCKET_INVALID", text);
}

import type { AsyncResource } from "node:async_hooks";
import type { DatagramRows } from "../udp/datagram.ts";
import type { UdpHandle } from "../udp/node-internals.ts";
import type { RowsSink, UdpReader } from "../udp/reader.ts";
import { MessageSlab } from "./message-slab.ts";

/** A message that was read, and not emitted yet. */
type Message = { readonly bytes: Buffer; readonly rinfo: object };

/**
 * Emits the datagrams of a batch one by one, through the function that Node itself has put on the socket's handle: so the event, the fields
 * of `rinfo`, block lists and errors are Node's.
 *
 * A listener that throws ends the turn, as with Node; what it did not get to see is emitted in the next one, in order.
 */
export class MessageEmitter implements RowsSink {
  readonly #handle: UdpHandle;
  readonly #resource: AsyncResource;
  readonly #slab = new MessageSlab();
  #reader: UdpReader | null = null;
  /** What a listener has thrown in this turn, and what came after that. */
  #thrown: { readonly error: unknown } | null = null;
  #late: Message[] = [];
  #isClosed = false;

  readonly #runTicks: () => void;

  /** `handle.onmessage` is Node's; `resource` the context that listeners are called in. */
  constructor(handle: UdpHandle, resource: AsyncResource, runTicks: () => void) {
    this.#handle = handle;
    this.#runTicks = runTicks;
    this.#resource = resource;
  }

  start(reader: UdpReader): void {
    this.#reader = reader;
  }

  /** Emits nothing any more. */
  close(): void {
    this.#isClosed = true;
    this.#late = [];
  }

  take(rows: DatagramRows): boolean {
    this.#resource.runInAsyncScope(() => this.#emitRows(rows));
    return true;
  }

  /** What the socket would have emitted itself: an ICMP message, for one. */
  failed(error: NodeJS.ErrnoException): void {
    this.#resource.runInAsyncScope(() => this.#handle.onmessage(error.errno ?? -1, this.#handle));
  }

  /** There are pages again in the next turn: nobody keeps any. */
  waitForPages(): void {
    this.#reader?.stop();
    setImmediate(() => this.#reader?.start());
  }

  broke(error: unknown): void {
    throw error;
  }

  #emitRows(rows: DatagramRows): void {
    const { rowCount } = rows;
    this.#slab.expect(rows.byteCount);
    for (let row = 0; row < rowCount; row++) {
      const length = rows.lengthOf(row);
      const segment = rows.segmentBytesOf(row);
      const bytes = this.#slab.copy(rows.bytesOf(row, 0, length));
      if (segment === 0) this.#emit(bytes, rows, row);
      else
        for (let start = 0; start < length; start += segment)
          this.#emit(bytes.subarray(start, start + segment), rows, row);
    }
    this.#slab.done();
    this.#throwOn();
  }

  #emit(bytes: Buffer, rows: DatagramRows, row: number): void {
    if (this.#isClosed) return;
    const { address, family, port } = rows.sourceOf(row);
    const rinfo = { address, family, port }; // one for each message: it is the listener's
    if (this.#thrown === null) this.#call(bytes, rinfo);
    else this.#late.push({ bytes, rinfo });
  }

  #call(bytes: Buffer, rinfo: object): void {
    try {
      this.#handle.onmessage(bytes.length, this.#handle, bytes, rinfo);
      this.#runTicks();
    } catch (error) {
      this.#thrown = { error };
    }
  }

  /** What a listener has thrown is thrown on, to where Node deals with it; what waits is emitted after that. */
  #throwOn(): void {
    if (this.#thrown === null) return;
    const { error } = this.#thrown;
    this.#thrown = null;
    this.#reader?.stop();
    setImmediate(() => this.#resource.runInAsyncScope(() => this.#emitLate()));
    throw error;
  }

  #emitLate(): void {
    while (this.#late.length > 0 && this.#thrown === null) {
      const message = this.#late.shift();
      if (message !== undefined) this.#call(message.bytes, message.rinfo);
    }
    this.#throwOn();
    this.#reader?.start();
  }
}

import type { AsyncResource } from "node:async_hooks";
import type { DatagramRows } from "../udp/datagram.ts";
import type { UdpHandle } from "../udp/node-internals.ts";
import type { MmsgReader } from "../udp/mmsg-reader.ts";
import type { RowsSink } from "../udp/reader.ts";
import { MessageSlab, ownCopyOf } from "./message-memory.ts";

/** A message that was read, and not emitted yet. */
type Message = { readonly bytes: Buffer; readonly rinfo: object };

/** Of a turn of the event loop; then others have theirs. Looked at after each so many messages. */
const MS_PER_TURN = 1;
const MESSAGES_PER_LOOK = 32;

/**
 * From Node 24 on what a listener puts into the context (`AsyncLocalStorage.enterWith`) is gone when it returns, so each is called in a scope of its
 * own; before, it stayed with the socket.
 */
const HAS_CONTEXT_FRAMES: boolean = Number.parseInt(process.versions.node, 10) >= 24;

/**
 * Emits the datagrams of a batch one by one, through the function that Node itself has put on the socket's handle: so the event, the fields
 * of `rinfo`, block lists and errors are Node's. Between two messages ticks and promise reactions run.
 *
 * What a listener, a tick or a reaction throws ends the turn, as with Node; what was not emitted then is in a later one, in order. It must not be
 * caught on its way (only `finally` here): Node deals with it where it leaves JavaScript, and puts its own books right there.
 */
export class MessageEmitter implements RowsSink {
  readonly #handle: UdpHandle;
  readonly #resource: AsyncResource;
  readonly #runTicks: () => void;
  /** Null: each message has memory of its own. */
  readonly #slab: MessageSlab | null;
  #reader: MmsgReader | null = null;
  readonly #late: Message[] = [];
  #isConnecting = false;
  #isScheduled = false;

  /** `handle.onmessage` is Node's; `resource` the context that listeners are called in. */
  constructor(handle: UdpHandle, resource: AsyncResource, runTicks: () => void, sharesMemory: boolean) {
    this.#slab = sharesMemory ? new MessageSlab() : null;
    this.#handle = handle;
    this.#resource = resource;
    this.#runTicks = runTicks;
  }

  start(reader: MmsgReader): void {
    this.#reader = reader;
  }

  take(rows: DatagramRows): boolean {
    const rest: Message[] = [];
    const endMs = performance.now() + MS_PER_TURN;
    // A connect() of a listener's may come back here: what it brings then is for later, behind what is at hand.
    let isOver = this.#isConnecting;
    let emitted = 0;
    let isWhole = false;
    try {
      this.#each(rows, (bytes, rinfo) => {
        if (isOver) {
          rest.push({ bytes, rinfo });
        } else {
          emitted++;
          this.#emit(bytes, rinfo);
          isOver = emitted % MESSAGES_PER_LOOK === 0 && performance.now() > endMs;
        }
      });
      isWhole = true;
    } finally {
      if (!isWhole) this.#each(rows, (bytes, rinfo, index) => void (index >= emitted && rest.push({ bytes, rinfo })));
      if (!isWhole || rest.length > 0) this.#postpone(rest);
    }
    return true;
  }

  isReady(): boolean {
    return this.#late.length === 0;
  }

  /** What the socket would have emitted itself: an ICMP message, for one. */
  failed(error: NodeJS.ErrnoException): void {
    this.#handle.onmessage(error.errno ?? -1, this.#handle);
  }

  /** There are pages again in the next turn: nobody keeps any. */
  waitForPages(): void {
    this.#reader?.stop();
    setImmediate(() => this.#reader?.start(true));
  }

  /** Node reads it from now on; what is there by now is emitted before that, and not from within `connect()`. */
  connecting(): void {
    this.#isConnecting = true;
    try {
      this.#reader?.retire();
    } finally {
      this.#isConnecting = false;
    }
  }

  broke(error: unknown): void {
    throw error;
  }

  /** Calls `visit` with each datagram, in memory that is the listener's to keep. */
  #each(rows: DatagramRows, visit: (bytes: Buffer, rinfo: object, index: number) => void): void {
    let index = 0;
    this.#slab?.expect(rows.byteCount, rows.datagramCount);
    for (let row = 0; row < rows.rowCount; row++) {
      const length = rows.lengthOf(row);
      const step = rows.segmentBytesOf(row) || length || 1;
      const shared = this.#slab?.copy(rows.bytesOf(row, 0, length));
      for (let start = 0; start === 0 || start < length; start += step) {
        const end = Math.min(start + step, length);
        const bytes = shared?.subarray(start, end) ?? ownCopyOf(rows.bytesOf(row, start, end - start));
        const { address, family, port } = rows.sourceOf(row);
        visit(bytes, { address, family, port }, index++);
      }
    }
    this.#slab?.done();
  }

  #emit(bytes: Buffer, rinfo: object): void {
    if (this.#reader?.isClosed !== false) return; // a listener has closed the socket: it gets nothing more, as with Node
    const handle = this.#handle;
    if (HAS_CONTEXT_FRAMES)
      this.#resource.runInAsyncScope(handle.onmessage, handle, bytes.length, handle, bytes, rinfo);
    else handle.onmessage(bytes.length, handle, bytes, rinfo);
    this.#runTicks();
  }

  /** Keeps what was not emitted for later, before what came after it, and reads nothing before that. */
  #postpone(rest: readonly Message[]): void {
    if (this.#isConnecting) this.#late.push(...rest);
    else this.#late.unshift(...rest);
    this.#reader?.stop();
    this.#scheduleLate();
  }

  #scheduleLate(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    this.#resource.runInAsyncScope(() => setImmediate(() => this.#emitLate()));
  }

  #emitLate(): void {
    this.#isScheduled = false;
    const endMs = performance.now() + MS_PER_TURN;
    try {
      for (let count = 1; this.#late.length > 0; count++) {
        const message = this.#late.shift();
        if (message !== undefined) this.#emit(message.bytes, message.rinfo);
        if (count % MESSAGES_PER_LOOK === 0 && performance.now() > endMs) break;
      }
    } finally {
      if (this.#late.length > 0) this.#scheduleLate();
      else this.#reader?.start(true);
    }
  }
}

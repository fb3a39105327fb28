import { Duplex, Readable } from "node:stream";
import { ReadableStream } from "node:stream/web";
import type { Socket } from "node:net";
import type { Mbuf } from "../mbuf/mbuf.ts";
import { receive } from "../tcp/receive.ts";
import type { ReceiveOptions } from "../tcp/receive.ts";

/**
 * What a receiver receives as a stream of Node's, for `pipeline`. **Copies each mbuf**: a stream cannot tell when its reader is done with a chunk. So
 * every page goes back at once. To keep the pages use `relay()` or `writeTo()`. It costs about as much CPU as the socket itself as a stream, up to 1.5 times as
 * much (`npm run bench -- delivery`).
 *
 * Ends and fails as the receiver does; destroying it ends the iteration, and with it the receiver's socket.
 */
export function readableOf(mbufs: AsyncIterable<Mbuf>): Readable {
  return Readable.from(copies(mbufs), { objectMode: false });
}

/**
 * As {@link readableOf}, as a stream of the web's. **Copies**: shared memory is refused there, and chunks are transferred. Readers may bring memory of
 * their own (`getReader({ mode: "byob" })`): then it is copied twice.
 */
export function webStreamOf(mbufs: AsyncIterable<Mbuf>): ReadableStream<Uint8Array> {
  const chunks = copies(mbufs);
  return new ReadableStream({
    type: "bytes",
    async pull(controller) {
      const { value } = await chunks.next();
      if (value !== undefined) return controller.enqueue(value);
      controller.close();
      controller.byobRequest?.respond(0); // who brought memory of his own is told of the end with it
    },
    async cancel() {
      await chunks.return(undefined);
    },
  });
}

/** `socket` as a duplex stream that is received from into pages, and written to as ever. **Copies** what is read, see {@link readableOf}. */
export function duplexOf(socket: Socket, options: ReceiveOptions): Duplex {
  return Duplex.from({ readable: readableOf(receive(socket, options)), writable: socket });
}

async function* copies(mbufs: AsyncIterable<Mbuf>): AsyncGenerator<Buffer<ArrayBuffer>, undefined> {
  for await (const mbuf of mbufs) {
    const copy = mbuf.copy();
    mbuf.release(); // before the reader takes its time
    yield copy;
  }
}

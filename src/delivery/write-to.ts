import { WriteStream } from "node:fs";
import { Socket } from "node:net";
import { Writable } from "node:stream";
import { JumboError } from "../errors.ts";
import { MbufChain } from "../mbuf/chain.ts";
import { joinViews } from "../mbuf/join-views.ts";
import { optionInvalid } from "../option.ts";
import { letGoWith } from "../pool/let-go.ts";
import { isFileTarget, writeFront } from "./file-target.ts";
import type { FileTarget } from "./file-target.ts";

/** Where a chain can be written to. */
export type WriteTarget = FileTarget | Writable;

/** What `writeTo()` takes beside the chain. */
export type WriteOptions = {
  /** Ends the writing, with its reason. A stream is destroyed then, as half a message is no use; a file keeps what it has. */
  readonly signal?: AbortSignal | undefined;
};

/**
 * Writes the bytes of `chain` from where they lie, with `writev`: no copy. Each page goes back as soon as its bytes are written.
 * Only to streams other than a `net.Socket` (TCP, TLS, Unix, a child's stdin) and an `fs.WriteStream` it writes a **copy**: they may keep what they are given.
 *
 *     chain ──taken over──▶ [ page ][ page ][ page ] ──writev──▶ target       resolves when the system has taken all
 *
 * The chain is empty afterwards, at once, and still yours. Whatever goes wrong (a full disk, EPIPE, a destroyed stream, an aborted signal), all pages
 * go back and the error rejects the promise, and only that: during the writing an `'error'` of the stream needs no listener.
 *
 * Back-pressure: await it, or return it from the callback of `receive()`, which then reads no further than the target writes. Writes to a stream keep the order of
 * the calls. To a file write one after the other, as with `fs.write`; it is written at the file's own position. For what comes bit by bit see `ChainWriter`.
 *
 * @param target a file, a descriptor of one, or a stream of bytes: a `net.Socket`, `process.stdout`, a cipher
 * @returns how many bytes: all
 * @throws (as rejection) JumboError `ERR_JUMBO_OPTION_INVALID`, `ERR_JUMBO_CHAIN_RELEASED`; what the system says
 */
export async function writeTo(target: WriteTarget, chain: MbufChain, options: WriteOptions = {}): Promise<number> {
  const { signal } = options;
  const write = writerFor(target);
  if (!(chain instanceof MbufChain)) throw optionInvalid("chain", "an MbufChain", chain);
  if (signal !== undefined && !(signal instanceof AbortSignal)) throw optionInvalid("signal", "an AbortSignal", signal);
  const taken = new MbufChain().concat(chain);
  const { lengthBytes } = taken;
  try {
    signal?.throwIfAborted();
    await write(taken, signal);
  } finally {
    letGoWith(() => taken.release());
  }
  return lengthBytes;
}

type Write = (chain: MbufChain, signal: AbortSignal | undefined) => Promise<void>;

/** @throws JumboError `ERR_JUMBO_OPTION_INVALID` */
function writerFor(target: WriteTarget): Write {
  if (target instanceof Writable) {
    if (target.writableObjectMode) throw new JumboError("ERR_JUMBO_OPTION_INVALID", "target takes objects, not bytes");
    return (chain, signal) => writeToStream(target, chain, signal);
  }
  if (isFileTarget(target)) return (chain, signal) => writeToFile(target, chain, signal);
  throw optionInvalid("target", "a FileHandle, a descriptor or a Writable", target);
}

async function writeToFile(target: FileTarget, chain: MbufChain, signal: AbortSignal | undefined): Promise<void> {
  while (chain.lengthBytes > 0) await writeFront(target, chain, signal);
}

/** Settles when the stream has called back for every segment: until then it may look at them. */
function writeToStream(stream: Writable, chain: MbufChain, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const views = keepsNothing(stream)
      ? joinViews(chain.segments())
      : [chain.toBuffer()].filter(({ length }) => length > 0);
    let viewsLeft = views.length;
    let failure: { readonly error: unknown } | null = null;
    const onAbort = (): void => {
      failure ??= { error: signal?.reason };
      stream.destroy();
    };
    const settle = (): void => {
      signal?.removeEventListener("abort", onAbort);
      if (views.length > 0 && stream.destroyed) failure ??= { error: destroyedError() }; // Node 20 calls back as if it were written
      if (failure !== null) return reject(failure.error); // with the listener left: the stream tells of it later
      endQuiet(stream);
      resolve();
    };
    signal?.addEventListener("abort", onAbort, { once: true });
    beginQuiet(stream);
    stream.cork();
    for (const view of views) {
      stream.write(view, (error) => {
        if (error) failure ??= { error };
        else if (failure === null) letGoWith(() => chain.trimStart(view.length)); // they come back in order
        if (--viewsLeft === 0) settle();
      });
    }
    stream.uncork();
    if (views.length === 0) settle();
  });
}

/** A stream may keep what it was given beyond its callback, as a `PassThrough` does: only of these it is known that they do not. */
function keepsNothing(stream: Writable): boolean {
  return stream instanceof Socket || stream instanceof WriteStream;
}

function destroyedError(): Error {
  return Object.assign(new Error("the stream was destroyed before all was written"), { code: "ERR_STREAM_DESTROYED" });
}

/** How many writes are under way on a stream whose `'error'` is ours to tell of. */
const quiet = new WeakMap<Writable, number>();

function beginQuiet(stream: Writable): void {
  const count = quiet.get(stream) ?? 0;
  if (count === 0) stream.on("error", ignore);
  quiet.set(stream, count + 1);
}

function endQuiet(stream: Writable): void {
  const count = (quiet.get(stream) ?? 1) - 1;
  if (count === 0) stream.off("error", ignore);
  quiet.set(stream, count);
}

function ignore(): void {}

import type { Mbuf } from "../tcp/index.ts";
import type { Failure } from "./failure.ts";

/** A connection, or all datagrams together, as far as the output is concerned. */
export type Source = {
  /** Who sends, for messages: `127.0.0.1:41234`. */
  readonly peer: string;
  /** What a file of its own is called: `connection-0001.bin`. */
  readonly fileName: { readonly stem: "connection" | "datagrams"; readonly extension: string };
  /** Reads on, after {@link Sink.take} has said false. */
  goOn(): void;
  /** Ends it: its bytes cannot be taken. */
  stop(failure: Failure): void;
};

/** Where the bytes of one source go. */
export type Sink = {
  /**
   * One mbuf at a time. The answer is for the receiver: a promise is waited for, and lends the mbuf until then; false pauses the
   * source until {@link Source.goOn}.
   */
  take(mbuf: Mbuf): Promise<void> | false | undefined;
  /** No more comes. Resolves when what came is written, or has failed. */
  end(): Promise<void>;
  /** The file of this source alone, when it has one. */
  ownFile(): { readonly path: string; readonly bytes: number } | null;
  /** It has been told to wait, and has written nothing. */
  readonly isWaiting: boolean;
};

/** Where the bytes of a session go. */
export type Output = {
  /** As the user named it; null when bytes are only counted. */
  readonly name: string | null;
  readonly writtenBytes: number;
  /** Taken, and on its way. */
  readonly unwrittenBytes: number;
  readonly fileCount: number;
  /** From here on the output is ours: what was in the file before is gone. Called when everything else is ready. */
  begin(): void;
  sinkFor(source: Source): Sink;
  /** After all sinks have ended. */
  close(): Promise<void>;
  /** Instead of {@link begin}: leaves everything as it was found. */
  abandon(): Promise<void>;
};

export type OutputOptions = {
  /** How much may be unwritten, for each file, before reading stops. */
  readonly unwrittenBytesMax: number;
  /** How many connections may wait for their turn at the one file. */
  readonly waitingMax: number;
  /** Writing is over for good: the session ends. */
  readonly onFailed: (failure: Failure) => void;
  /** Whoever read what we write has had enough: the session ends, and nothing is wrong. */
  readonly onReaderGone: () => void;
  readonly notice: (text: string) => void;
};

/** No output: bytes are counted and let go. */
export class CountingOutput implements Output {
  readonly name = null;
  readonly writtenBytes = 0;
  readonly unwrittenBytes = 0;
  readonly fileCount = 0;

  begin(): void {}

  sinkFor(): Sink {
    return { take: () => undefined, end: () => Promise.resolve(), ownFile: () => null, isWaiting: false };
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  abandon(): Promise<void> {
    return Promise.resolve();
  }
}

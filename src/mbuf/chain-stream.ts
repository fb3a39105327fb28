import { Readable } from "node:stream";

/** What a stream needs of the chain that it takes its bytes from. Internal. */
export type Source = {
  readonly lengthBytes: number;
  copyOut(target: Uint8Array): number;
  trimStart(bytes: number): unknown;
  release(): void;
};

/**
 * The bytes of a chain as a stream, in copies: a stream cannot know when its reader is done with a chunk.
 *
 * It owns `source`, and lets its segments go as they are read; the rest when the stream ends or is destroyed.
 */
export class ChainReadable extends Readable {
  readonly #source: Source;

  constructor(source: Source) {
    super();
    this.#source = source;
  }

  override _read(size: number): void {
    const length = Math.min(size, this.#source.lengthBytes);
    if (length === 0) {
      this.push(null);
      return;
    }
    const chunk = Buffer.allocUnsafeSlow(length);
    try {
      this.#source.copyOut(chunk);
      this.#source.trimStart(length);
    } catch (error) {
      this.destroy(error instanceof Error ? error : new Error(String(error), { cause: error }));
      return;
    }
    this.push(chunk);
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    try {
      this.#source.release();
    } catch (failure) {
      callback(error ?? (failure instanceof Error ? failure : new Error(String(failure), { cause: failure })));
      return;
    }
    callback(error);
  }
}

import { ChainWriter } from "../delivery/index.ts";
import type { Mbuf } from "../tcp/index.ts";
import { codeOf, runtimeFailure } from "./failure.ts";
import type { OutputFile } from "./output-file.ts";
import { writeFailure } from "./output-file.ts";
import type { Output, OutputOptions, Sink, Source } from "./output.ts";
import { countOf } from "./quantities.ts";

/** The output that is there already: no file of ours to open, empty or close. */
export const STDOUT = { path: "-", fd: 1, isRegular: false } as const;

/**
 * One file, or standard output, for all connections: one after the other, so that the bytes of each stay together.
 *
 *     A ── first byte ──▶ writes ───────────▶ ended, all written
 *     B ────── first byte ──▶ waits, unread ────────────────────▶ writes …
 *     C (sends nothing) ────────────────────────────────────────────────── in nobody's way
 *
 * The turn is taken with the first byte, not with the connection: one that idles blocks nobody. What a waiting connection had
 * sent by then, 16 KiB or so, is copied out of the pool: waiting pins no page, so it cannot starve the one that writes.
 */
export class OneFileOutput implements Output {
  readonly name: string;
  readonly #file: OutputFile | typeof STDOUT;
  readonly #options: OutputOptions;
  readonly #writer: ChainWriter;
  readonly #waiting: Turn[] = [];
  #current: Turn | null = null;
  #hasBegun = false;

  constructor(file: OutputFile | typeof STDOUT, options: OutputOptions) {
    this.name = file.path;
    this.#file = file;
    this.#options = options;
    this.#writer = new ChainWriter(file.fd, {
      unwrittenBytesMax: options.unwrittenBytesMax,
      onFailure: (error) => this.#failed(error),
    });
  }

  get writtenBytes(): number {
    return this.#writer.writtenBytes;
  }

  get unwrittenBytes(): number {
    return this.#writer.unwrittenBytes;
  }

  get fileCount(): number {
    return 1;
  }

  begin(): void {
    if (this.#hasBegun) return;
    this.#hasBegun = true;
    if ("truncate" in this.#file) this.#file.truncate();
  }

  sinkFor(source: Source): Sink {
    return new Turn(this, source);
  }

  async close(): Promise<void> {
    await this.#writer.drained();
    if (!("close" in this.#file)) return;
    // Some file systems tell only now that the bytes found no room.
    await this.#file.close().catch((error: unknown) => this.#failed(error));
  }

  async abandon(): Promise<void> {
    if ("abandon" in this.#file) await this.#file.abandon();
  }

  /** From a turn. */
  take(turn: Turn, mbuf: Mbuf): Promise<void> | false | undefined {
    this.begin();
    this.#current ??= turn;
    if (this.#current !== turn) return this.#wait(turn, mbuf);
    return this.#writer.append(mbuf);
  }

  /** From a turn, whose connection has ended. */
  async leave(turn: Turn): Promise<void> {
    if (this.#current !== turn) {
      const index = this.#waiting.indexOf(turn);
      if (index >= 0) this.#waiting.splice(index, 1);
      return;
    }
    await this.#writer.drained();
    const next = this.#waiting.shift() ?? null;
    this.#current = next;
    next?.begin(this.#writer);
  }

  #wait(turn: Turn, mbuf: Mbuf): false | undefined {
    const { peer } = turn.source;
    if (this.#waiting.length >= this.#options.waitingMax) {
      const text = `${peer} was sent away: ${countOf(this.#waiting.length, "connection")} waiting for ${this.name} already; -o FOLDER/ takes all at a time`;
      turn.source.stop(runtimeFailure(text));
      return undefined;
    }
    this.#options.notice(
      `${peer} waits for its turn: ${this.name} takes one connection at a time (-o FOLDER/ takes all)`,
    );
    turn.wait(mbuf.copy());
    this.#waiting.push(turn);
    return false;
  }

  #failed(error: unknown): void {
    if (codeOf(error) === "EPIPE") this.#options.onReaderGone();
    else this.#options.onFailed(writeFailure(this.#shownName, this.#file.isRegular, this.writtenBytes, error));
  }

  get #shownName(): string {
    return this.#file === STDOUT ? "standard output" : this.name;
  }
}

/** One connection's turn at the file. */
class Turn implements Sink {
  readonly source: Source;
  readonly #output: OneFileOutput;
  /** What it had sent when it was told to wait. */
  #first: Buffer | null = null;

  constructor(output: OneFileOutput, source: Source) {
    this.#output = output;
    this.source = source;
  }

  get isWaiting(): boolean {
    return this.#first !== null;
  }

  ownFile(): null {
    return null;
  }

  take(mbuf: Mbuf): Promise<void> | false | undefined {
    return this.#output.take(this, mbuf);
  }

  end(): Promise<void> {
    return this.#output.leave(this);
  }

  wait(first: Buffer): void {
    this.#first = first;
  }

  begin(writer: ChainWriter): void {
    if (this.#first !== null) void writer.append(this.#first);
    this.#first = null;
    this.source.goOn();
  }
}

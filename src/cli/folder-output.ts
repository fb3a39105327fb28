import { constants } from "node:fs";
import { access, mkdir, open, readdir } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import path from "node:path";
import { ChainWriter } from "../delivery/index.ts";
import type { Mbuf } from "../tcp/index.ts";
import { Failure, codeOf, reasonOf, runtimeFailure } from "./failure.ts";
import { writeFailure } from "./output-file.ts";
import type { Output, OutputOptions, Sink, Source } from "./output.ts";

const NAME = /^(?:connection|datagrams)-([0-9]{4,9})\.[a-z]+$/;
/** Somebody else may make files of the same name at the same time; not for ever. */
const ATTEMPTS_MAX = 100;

/**
 * A folder with a file for each connection: `connection-0001.bin`, `connection-0002.bin`, … in the order in which they send
 * their first byte. A connection that sends nothing leaves no file. Datagrams are one source, and have one file together:
 * `datagrams-0003.bin`. Nothing is overwritten: the numbers go on from those found.
 */
export class FolderOutput implements Output {
  readonly name: string;
  readonly options: OutputOptions;
  #lastNumber: number;
  #endedBytes = 0;
  #fileCount = 0;
  readonly #writers = new Set<ChainWriter>();

  private constructor(name: string, lastNumber: number, options: OutputOptions) {
    this.name = name;
    this.#lastNumber = lastNumber;
    this.options = options;
  }

  /** @throws Failure */
  static async open(folder: string, options: OutputOptions): Promise<FolderOutput> {
    try {
      await mkdir(folder).catch(ignoreExisting);
      await access(folder, constants.W_OK | constants.X_OK);
      const numbers = (await readdir(folder)).map((name) => Number(NAME.exec(name)?.[1] ?? 0));
      const lastNumber = numbers.reduce((a, b) => Math.max(a, b), 0);
      return new FolderOutput(folder, lastNumber, options);
    } catch (error) {
      throw folderFailure(folder, error);
    }
  }

  get writtenBytes(): number {
    let bytes = this.#endedBytes;
    for (const writer of this.#writers) bytes += writer.writtenBytes;
    return bytes;
  }

  get unwrittenBytes(): number {
    let bytes = 0;
    for (const writer of this.#writers) bytes += writer.unwrittenBytes;
    return bytes;
  }

  get fileCount(): number {
    return this.#fileCount;
  }

  begin(): void {}

  sinkFor(source: Source): Sink {
    return new FileSink(this, source);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  abandon(): Promise<void> {
    return Promise.resolve();
  }

  /** From a sink: the next file. */
  async create({ fileName }: Source): Promise<{ readonly path: string; readonly handle: FileHandle }> {
    for (let attempt = 1; ; attempt++) {
      const name = `${fileName.stem}-${String(++this.#lastNumber).padStart(4, "0")}.${fileName.extension}`;
      const filePath = path.join(this.name, name);
      try {
        const handle = await open(filePath, "wx");
        this.#fileCount++;
        return { path: filePath, handle };
      } catch (error) {
        if (codeOf(error) === "EEXIST" && attempt < ATTEMPTS_MAX) continue;
        throw runtimeFailure(`cannot make ${filePath}: ${reasonOf(error)}`, error);
      }
    }
  }

  entered(writer: ChainWriter): void {
    this.#writers.add(writer);
  }

  left(writer: ChainWriter): void {
    if (this.#writers.delete(writer)) this.#endedBytes += writer.writtenBytes;
  }
}

/** One level only: what is missing above it is a mistyped name rather than a wish. */
function ignoreExisting(error: unknown): void {
  if (codeOf(error) !== "EEXIST") throw error;
}

function folderFailure(folder: string, error: unknown): Failure {
  const code = codeOf(error);
  if (code === "ENOENT") {
    return runtimeFailure(
      `-o ${folder}: there is no folder ${path.dirname(folder)} to make it in; make that first`,
      error,
    );
  }
  const reason =
    code === "ENOTDIR" ? "there is a file in its place; leave the slash away to write to it" : reasonOf(error);
  return runtimeFailure(`cannot write into the folder -o ${folder}: ${reason}`, error);
}

/** The file of one source, made when its first byte arrives. A file that fails ends its source, and no other. */
class FileSink implements Sink {
  readonly isWaiting = false;
  readonly #output: FolderOutput;
  readonly #source: Source;
  #path = "";
  #handle: FileHandle | null = null;
  #writer: ChainWriter | null = null;
  #opening: Promise<void> | null = null;

  constructor(output: FolderOutput, source: Source) {
    this.#output = output;
    this.#source = source;
  }

  ownFile(): { path: string; bytes: number } | null {
    return this.#writer === null ? null : { path: this.#path, bytes: this.#writer.writtenBytes };
  }

  take(mbuf: Mbuf): Promise<void> | undefined {
    const writer = this.#writer;
    if (writer === null) return (this.#opening = this.#open(mbuf));
    return writer.append(mbuf);
  }

  async end(): Promise<void> {
    await this.#opening;
    const writer = this.#writer;
    if (writer === null) return;
    await writer.drained();
    await this.#handle?.close().catch((error: unknown) => this.#failed(error));
    this.#output.left(writer);
  }

  /** The mbuf is borrowed until the promise settles, so it waits for the file. */
  async #open(mbuf: Mbuf): Promise<void> {
    try {
      const { path: filePath, handle } = await this.#output.create(this.#source);
      this.#path = filePath;
      this.#handle = handle;
      this.#writer = new ChainWriter(handle.fd, {
        unwrittenBytesMax: this.#output.options.unwrittenBytesMax,
        onFailure: (error) => this.#failed(error),
      });
      this.#output.entered(this.#writer);
      await this.#writer.append(mbuf);
    } catch (error) {
      this.#source.stop(error instanceof Failure ? error : runtimeFailure(reasonOf(error), error));
    }
  }

  #failed(error: unknown): void {
    this.#source.stop(writeFailure(this.#path, true, this.#writer?.writtenBytes ?? 0, error));
  }
}

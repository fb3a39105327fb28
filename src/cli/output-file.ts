import { constants, ftruncateSync } from "node:fs";
import { open, stat, unlink } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import path from "node:path";
import { codeOf, reasonOf, runtimeFailure } from "./failure.ts";
import type { Failure } from "./failure.ts";
import { formatCount } from "./quantities.ts";

/** What was at a path before it was opened. */
type Found = "nothing" | "file" | "fifo" | "other";

/**
 * A file opened for writing, that nothing was done to yet.
 *
 * It is opened before anything listens, so that an output that cannot be written is known at once, and emptied only when
 * everything else is ready: a port that is in use costs nobody the file of the last run.
 */
export class OutputFile {
  readonly path: string;
  readonly isRegular: boolean;
  readonly #handle: FileHandle;
  readonly #isNew: boolean;

  private constructor(filePath: string, handle: FileHandle, isRegular: boolean, isNew: boolean) {
    this.path = filePath;
    this.#handle = handle;
    this.isRegular = isRegular;
    this.#isNew = isNew;
  }

  /**
   * Opens `filePath`, made if need be. A FIFO waits for its reader, as it does in a shell.
   * @throws Failure
   */
  static async open(filePath: string, notice: (text: string) => void): Promise<OutputFile> {
    const found = await findAt(filePath);
    if (found === "fifo") notice(`${filePath} is a FIFO: waiting until somebody reads it`);
    try {
      const handle = await open(filePath, constants.O_WRONLY | constants.O_CREAT, 0o666);
      const isRegular = (await handle.stat()).isFile();
      return new OutputFile(filePath, handle, isRegular, found === "nothing");
    } catch (error) {
      throw openFailure(filePath, error);
    }
  }

  get fd(): number {
    return this.#handle.fd;
  }

  /** Empties it: devices and FIFOs have nothing to empty. */
  truncate(): void {
    if (this.isRegular) ftruncateSync(this.fd, 0);
  }

  close(): Promise<void> {
    return this.#handle.close();
  }

  /** Closes it, and removes it when opening has made it. */
  async abandon(): Promise<void> {
    await this.close();
    if (this.#isNew) await unlink(this.path).catch(() => {}); // an empty file more is no reason to hide the error that led here
  }
}

/** Says that writing has failed, why, and what is there now. */
export function writeFailure(name: string, isRegular: boolean, writtenBytes: number, error: unknown): Failure {
  const left = isRegular
    ? `the file is incomplete: it holds the first ${formatCount(writtenBytes)} bytes`
    : `${formatCount(writtenBytes)} bytes were written before`;
  return runtimeFailure(`${name}: ${reasonOf(error)}; ${left}`, error);
}

async function findAt(filePath: string): Promise<Found> {
  try {
    const stats = await stat(filePath);
    if (stats.isFile()) return "file";
    return stats.isFIFO() ? "fifo" : "other";
  } catch {
    return "nothing"; // or something that cannot be looked at: open says so
  }
}

/** Why an output cannot be opened, and what to do. */
export function openFailure(filePath: string, error: unknown): Failure {
  const code = codeOf(error);
  if (code === "EISDIR") {
    return runtimeFailure(`-o ${filePath} is a folder: write ${filePath}/ for one file per connection in it`, error);
  }
  if (code === "ENOENT") {
    return runtimeFailure(`-o ${filePath}: there is no folder ${path.dirname(filePath)}; make it first`, error);
  }
  return runtimeFailure(`cannot write -o ${filePath}: ${reasonOf(error)}; choose another place`, error);
}

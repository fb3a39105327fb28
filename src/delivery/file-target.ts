import { writev } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import type { MbufChain } from "../mbuf/chain.ts";
import { joinViews } from "../mbuf/join-views.ts";
import { letGoWith } from "../pool/let-go.ts";

/** A file: `open()`'s handle, or a descriptor. */
export type FileTarget = FileHandle | number;

/** Segments that one system call writes: what Linux takes at most (IOV_MAX). */
const SEGMENTS_MAX = 1024;
/** About so much goes with one system call: enough to be worth its price, and pages come back while a slow reader is served. */
const CALL_BYTES_MAX = 1 << 22;
const RETRY_MS_MAX = 50;
const writevTo = promisify(writev);

export function isFileTarget(target: unknown): target is FileTarget {
  if (typeof target === "number") return Number.isInteger(target) && target >= 0;
  return typeof target === "object" && target !== null && "writev" in target && "fd" in target;
}

/**
 * Writes the front of `chain`, which must not be empty, with one system call, and lets go of it. More may be put behind meanwhile.
 *
 * A pipe that somebody else has made non-blocking takes nothing while it is full (EAGAIN): that is waited for.
 * @returns how many bytes, at least one
 * @throws (as rejection) what the system says, or `signal`'s reason
 */
export async function writeFront(target: FileTarget, chain: MbufChain, signal?: AbortSignal): Promise<number> {
  for (let retryMs = 1; ; retryMs = Math.min(retryMs * 2, RETRY_MS_MAX)) {
    const bytes = await written(target, frontOf(chain));
    if (bytes > 0) letGoWith(() => chain.trimStart(bytes));
    signal?.throwIfAborted();
    if (bytes > 0) return bytes;
    await delay(retryMs);
  }
}

function frontOf(chain: MbufChain): Buffer[] {
  const views = joinViews(chain.segments(SEGMENTS_MAX));
  let count = 0;
  for (let bytes = 0; bytes < CALL_BYTES_MAX && count < views.length; count++) bytes += views[count]!.length;
  return count === views.length ? views : views.slice(0, count);
}

/** 0 when there is nothing to be had at the moment. */
async function written(target: FileTarget, views: Buffer[]): Promise<number> {
  try {
    // The handle's own, where there is one: it is not closed, and its number not another file's, before the call returns.
    const call = typeof target === "number" ? writevTo(target, views) : target.writev(views);
    return (await call).bytesWritten;
  } catch (error) {
    if (isSystemError(error) && (error.code === "EAGAIN" || error.code === "EINTR")) return 0;
    throw error;
  }
}

function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && "code" in error;
}

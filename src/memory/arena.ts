import { invariant } from "../invariant.ts";

/** The part of the standard WebAssembly interface used here; @types/node does not declare it. */
declare const WebAssembly: {
  Memory: new (limits: { initial: number; maximum: number; shared: boolean }) => WasmMemory;
};
type WasmMemory = { readonly buffer: ArrayBufferLike; grow(pages: number): number };

/** The unit in which WebAssembly memory grows. */
const WASM_PAGE_BYTES = 65_536;
/** WebAssembly's limit on one memory: the most a pool can have in all. */
export const ARENA_BYTES_MAX: number = 65_536 * WASM_PAGE_BYTES;

/**
 * The whole memory of a pool: address space reserved once, committed in place as it grows.
 *
 *     ┌────────┬────────┬── ── ──┬────────┬╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌┐
 *     │ page 0 │ page 1 │        │ page k │  reserved, untouched │   page n begins at n × pageSizeBytes
 *     └────────┴────────┴── ── ──┴────────┴╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌┘
 *     0                                    committedBytes          pages × pageSizeBytes
 *
 * It is a shared WebAssembly.Memory because nothing else in JavaScript is page-aligned, grows without
 * moving, keeps every old view valid, and cannot be detached under the kernel's feet.
 *
 * Thread: owner only.
 */
export class Arena {
  readonly pageSizeBytes: number;
  readonly pages: number;
  readonly #memory: WasmMemory;
  /** Buffers by page number, made at first use and kept: the cached view is what makes `page.bytes` free. */
  readonly #views: (Buffer | undefined)[] = [];
  /** `memory.buffer` is a new object after each growth; this is the newest. */
  #buffer: SharedArrayBuffer;

  constructor(pageSizeBytes: number, pages: number) {
    invariant(pageSizeBytes * pages <= ARENA_BYTES_MAX, "an arena fits one WebAssembly memory");
    this.pageSizeBytes = pageSizeBytes;
    this.pages = pages;
    const maximum = Math.ceil((pageSizeBytes * pages) / WASM_PAGE_BYTES);
    this.#memory = new WebAssembly.Memory({ shared: true, initial: 0, maximum });
    this.#buffer = sharedBufferOf(this.#memory);
  }

  get committedBytes(): number {
    return this.#buffer.byteLength;
  }

  /**
   * Commits pages 0 … `pages - 1`. No view is invalidated.
   * @returns false, with nothing changed, when the system refuses the memory
   */
  commit(pages: number): boolean {
    invariant(pages <= this.pages, "an arena never grows past its reservation");
    const missingBytes = pages * this.pageSizeBytes - this.committedBytes;
    if (missingBytes <= 0) return true;
    try {
      this.#memory.grow(Math.ceil(missingBytes / WASM_PAGE_BYTES));
    } catch {
      return false; // RangeError: the system has no memory for us now
    }
    this.#buffer = sharedBufferOf(this.#memory);
    return true;
  }

  /** The Buffer of exactly page `number`: always the same object, no copy. The page must be committed. */
  bytesOf(number: number): Buffer {
    return this.#views[number] ?? this.#makeView(number);
  }

  /**
   * The Buffer of page `number` over a SharedArrayBuffer object of its own (same memory, no copy).
   *
   * Every view somebody derives from it (`subarray`, `DataView`, …) keeps that object reachable, and nothing
   * else does: so when the object is garbage, nobody on this thread can see the page any more.
   */
  privateBytesOf(number: number): Buffer {
    const memory: SharedArrayBuffer = structuredClone(this.#buffer);
    return Buffer.from(memory, number * this.pageSizeBytes, this.pageSizeBytes);
  }

  /** The bytes of `count` pages from page `first` in one piece. No copy. */
  rangeOf(first: number, count: number): Buffer {
    return Buffer.from(this.#buffer, first * this.pageSizeBytes, count * this.pageSizeBytes);
  }

  #makeView(number: number): Buffer {
    const offset = number * this.pageSizeBytes;
    invariant(offset + this.pageSizeBytes <= this.committedBytes, `page ${number} is committed before it is seen`);
    const views = this.#views;
    while (views.length <= number) views.push(undefined); // grown, never sparse: V8 keeps it a plain array
    return (views[number] = Buffer.from(this.#buffer, offset, this.pageSizeBytes));
  }
}

function sharedBufferOf(memory: WasmMemory): SharedArrayBuffer {
  const { buffer } = memory;
  invariant(buffer instanceof SharedArrayBuffer, "a shared memory has a SharedArrayBuffer");
  return buffer;
}

import { copyBytes } from "../memory/copy-bytes.ts";
import { addressOf } from "../os/address-of.ts";
import { loadPageExchange } from "../os/page-exchange.ts";

/** Sizes at which flipping is compared with copying; below them four system calls cost more than any copy. */
const SIZES: readonly number[] = [524_288, 1_048_576, 2_097_152, 4_194_304];
const ROUNDS = 7;
/** By how much a flip has to win: measurements vary, and a flip that is slower than a copy is worse than one that was not made. */
const MARGIN = 1.15;

declare const WebAssembly: {
  Memory: new (limits: { initial: number; maximum: number; shared: boolean }) => { readonly buffer: SharedArrayBuffer };
};

/**
 * The switch and the counters of zero-copy receive. zero_copy(9), `kern.ipc.zero_copy.receive`
 *
 * Thread: each has its own.
 */
class ZeroCopy {
  /** False: everything is copied. */
  receive = true;
  /** Bytes that the kernel wrote into a target itself. */
  received = 0;
  /** Pages that were moved into a target. */
  flipped = 0;
  /** Bytes that were copied into a target. */
  copied = 0;
  /** Pages whose memory left their pool with a flip; their slots went back to it with the memory that the target had. */
  stolen = 0;
  #flipMinBytes: number | null = null;

  /**
   * From how many bytes in one piece on flipping is faster than copying on this machine: measured at first use (some 30 ms), or what you set.
   * Infinity where it never is, or cannot be done. null: measure again.
   */
  get flipMinBytes(): number {
    return (this.#flipMinBytes ??= measureFlipMin());
  }

  set flipMinBytes(bytes: number | null) {
    this.#flipMinBytes = bytes;
  }

  /** @internal Whether so many bytes in one piece are to be flipped. What cannot pay anywhere is not worth measuring for. */
  pays(lengthBytes: number): boolean {
    if (this.#flipMinBytes === null && lengthBytes < Math.min(...SIZES)) return false;
    return lengthBytes >= this.flipMinBytes;
  }

  /** Why nothing can be flipped here; null when it can. */
  get reason(): string | null {
    const found = loadPageExchange();
    return found.pageExchange === null ? found.reason : null;
  }
}

/** This thread's switch and counters of zero-copy receive. */
export const zeroCopy: ZeroCopy = new ZeroCopy();
export type { ZeroCopy };

/** The smallest size from which on a flip was clearly faster than the best copy, the next filling of the page included. */
function measureFlipMin(): number {
  const { pageExchange } = loadPageExchange();
  if (pageExchange === null) return Infinity;
  const most = Math.max(...SIZES);
  const memory = (): Uint8Array =>
    new Uint8Array(new WebAssembly.Memory({ initial: most / 65_536, maximum: most / 65_536, shared: true }).buffer);
  const [source, target, filling] = [memory(), memory(), new Uint8Array(most).fill(1)];
  const [from, to] = [addressOf(source), addressOf(target)];
  target.fill(2); // as the consumer's is from the second time on
  let smallest = Infinity;
  for (const size of SIZES.toReversed()) {
    const bytes = source.subarray(0, size);
    const costOf = (move: () => unknown): number => {
      copyBytes(filling.subarray(0, size), source, 0); // as the kernel leaves it: written just now
      return timeOf(() => (move(), copyBytes(filling.subarray(0, size), source, 0)));
    };
    const copy = medianOf(() => costOf(() => copyBytes(bytes, target, 0)));
    const flip = medianOf(() => costOf(() => pageExchange.exchange(from, to, size)));
    if (flip * MARGIN > copy) break;
    smallest = size;
  }
  return smallest;
}

function timeOf(action: () => unknown): number {
  const start = process.hrtime.bigint();
  action();
  return Number(process.hrtime.bigint() - start);
}

function medianOf(measure: () => number): number {
  const times = Array.from({ length: ROUNDS }, measure).toSorted((a, b) => a - b);
  return times[ROUNDS >> 1] ?? Infinity;
}

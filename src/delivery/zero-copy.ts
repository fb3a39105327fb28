import { addressOf } from "../os/address-of.ts";
import { loadPageFlip } from "../os/page-flip.ts";

/** Sizes at which flipping is compared with copying. */
const SIZES: readonly number[] = [65_536, 262_144, 1_048_576, 4_194_304];
const ROUNDS = 7;
/** By how much a flip has to win: measurements vary, and a flip that is slower than a copy is worse than one that was not made. */
const MARGIN = 1.25;

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
  /** Pages that were moved into a target. */
  flipped = 0;
  /** Bytes that were copied into a target. */
  copied = 0;
  /** Pages whose memory left their pool with a flip; their slots went back to it with fresh memory. */
  stolen = 0;
  #flipMinBytes: number | null = null;

  /**
   * From how many bytes in one piece on flipping is faster than copying on this machine: measured at first use (some 70 ms), or what you set.
   * Infinity where it never is, or cannot be done. null: measure again.
   */
  get flipMinBytes(): number {
    return (this.#flipMinBytes ??= measureFlipMin());
  }

  set flipMinBytes(bytes: number | null) {
    this.#flipMinBytes = bytes;
  }

  /** Why nothing can be flipped here; null when it can. */
  get reason(): string | null {
    const found = loadPageFlip();
    return found.pageFlip === null ? found.reason : null;
  }
}

/** This thread's switch and counters of zero-copy receive. */
export const zeroCopy: ZeroCopy = new ZeroCopy();
export type { ZeroCopy };

/** The smallest size from which on a flip was clearly faster than a copy. */
function measureFlipMin(): number {
  const { pageFlip } = loadPageFlip();
  if (pageFlip === null) return Infinity;
  const most = Math.max(...SIZES);
  const memory = (): Uint8Array =>
    new Uint8Array(new WebAssembly.Memory({ initial: most / 65_536, maximum: most / 65_536, shared: true }).buffer);
  const [source, target] = [memory(), memory()];
  const [from, to] = [addressOf(source), addressOf(target)];
  let smallest = Infinity;
  for (const size of SIZES.toReversed()) {
    const copy = medianOf(() => {
      source.fill(1, 0, size); // as the kernel leaves it: written just now
      return timeOf(() => target.set(source.subarray(0, size)));
    });
    const flip = medianOf(() => {
      source.fill(1, 0, size); // touching what is fresh is part of the price, but of the next read's
      return timeOf(() => pageFlip.flip(from, to, size));
    });
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

import { crc32 } from "node:zlib";
import { makeTourBlock } from "./tour-content.ts";

/** What the tour sends in datagrams: the same on every machine. */
export const TOUR_DATAGRAMS = 1_000_000;
/** As long as QUIC's. */
export const TOUR_DATAGRAM_BYTES = 1200;
/** So many go out with one system call, where there is segmentation offload. Divides their number. */
export const TOUR_BUNCH = 40;
/** The sum of the CRC-32 of all datagrams, in whichever order; `test/cli/tour.test.ts` works it out again. */
export const TOUR_CRC_SUM = 2_147_298_132_915_252;

/** Room for a bunch, filled with pseudo-random bytes, to be stamped. */
export function makeTourBunch(): Buffer {
  return Buffer.from(makeTourBlock().subarray(0, TOUR_BUNCH * TOUR_DATAGRAM_BYTES));
}

/** Makes it the datagrams from `first` on, a multiple of {@link TOUR_BUNCH}: each begins with its number. */
export function stampTourBunch(bunch: Buffer, first: number): void {
  for (let i = 0; i < TOUR_BUNCH; i++) bunch.writeUInt32LE(first + i, i * TOUR_DATAGRAM_BYTES);
}

/** Every so many datagrams the clock is looked at, which takes time, too. */
const TIMED_EVERY = 32;

/** Takes datagrams, where they are, and says what came: the same for whoever receives. */
export class DatagramTally {
  readonly #seen = new Uint8Array(TOUR_DATAGRAMS);
  #received = 0;
  #wrong = 0;
  #crcSum = 0;
  readonly #timesMs: number[] = [];
  firstMs = 0;
  lastMs = 0;

  /** All of them, the wrong ones too. */
  get taken(): number {
    return this.#received + this.#wrong;
  }

  take(bytes: Buffer): void {
    if (this.taken % TIMED_EVERY > 0) return this.#check(bytes);
    this.lastMs = performance.now();
    this.#check(bytes);
    this.#timesMs.push(performance.now() - this.lastMs);
    if (this.firstMs === 0) this.firstMs = this.lastMs;
  }

  #check(bytes: Buffer): void {
    const number = bytes.length === TOUR_DATAGRAM_BYTES ? bytes.readUInt32LE(0) : TOUR_DATAGRAMS;
    if (this.#seen[number] !== 0) {
      this.#wrong++; // of another length, from somebody else, or for the second time
      return;
    }
    this.#seen[number] = 1;
    this.#crcSum += crc32(bytes); // a million of them are below 2^53
    this.#received++;
  }

  result(): TallyResult {
    const crcSum = this.#crcSum;
    const lostCrcSum = this.#crcSumOfLost();
    return {
      received: this.#received,
      wrong: this.#wrong,
      isContentRight: crcSum + lostCrcSum === TOUR_CRC_SUM,
      crcSum,
      crcSeconds: (median(this.#timesMs) * this.taken) / 1000,
      seconds: (this.lastMs - this.firstMs) / 1000,
    };
  }

  /** Works out what has not come: then what has come can be checked without it. */
  #crcSumOfLost(): number {
    const bunch = makeTourBunch();
    let sum = 0;
    for (let first = 0; first < TOUR_DATAGRAMS; first += TOUR_BUNCH) {
      if (!this.#seen.subarray(first, first + TOUR_BUNCH).includes(0)) continue;
      stampTourBunch(bunch, first);
      for (let i = 0; i < TOUR_BUNCH; i++) {
        if (this.#seen[first + i] !== 0) continue;
        sum += crc32(bunch.subarray(i * TOUR_DATAGRAM_BYTES, (i + 1) * TOUR_DATAGRAM_BYTES));
      }
    }
    return sum;
  }
}

/** Not the mean: a clock goes on while other processes have the processor. */
function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;
}

export type TallyResult = {
  /** Datagrams of the tour, each counted once. */
  readonly received: number;
  /** Others, and those that came twice. */
  readonly wrong: number;
  /** Each that came is as it was sent. */
  readonly isContentRight: boolean;
  readonly crcSum: number;
  /** Of the processor time, what looking at them took, measured on some: the same work for whoever receives. */
  readonly crcSeconds: number;
  /** From the first one to the last. */
  readonly seconds: number;
};

/** The datagrams of the UDP soak: each says which one it is, and proves with a checksum that every byte of it is as it was sent. */
import { crc32 } from "node:zlib";

/**
 *      0  run and phase, so that strays are seen          u32
 *      4  its number in the phase                         u32
 *      8  the number of its message                       u32    one call of sendmmsg's; with GSO many datagrams
 *     12  its number in the message                       u16
 *     14  how many datagrams the message has              u16
 *     16  filler, which depends on its message
 *     −4  CRC-32 of all before it                         u32    so that the CRC-32 of the whole is always the same
 */
export const DATAGRAM_BYTES_MIN = 20;
const CRC_BYTES = 4;
/** CRC-32 of anything that ends with its own CRC-32, little-endian. */
const CRC_OF_WHOLE = 0x2144_df1c;

const FILLER_STEPS = 4096;
const FILLER_STEP_BYTES = 16;
const MESSAGE_BYTES_MAX = 65_536;
const filler = Buffer.alloc(MESSAGE_BYTES_MAX + FILLER_STEPS * FILLER_STEP_BYTES);
for (let i = 0; i < filler.length; i++) filler[i] = Math.imul(i + 1, 2_654_435_761) >>> 24;

/** One message: `length` bytes, cut into datagrams of `datagramBytes`. The last one may be shorter, but not than a datagram can be. */
export type Message = {
  readonly phaseId: number;
  readonly number: number;
  /** The number of its first datagram. */
  readonly first: number;
  readonly datagramBytes: number;
};

/** Fills `bytes` with the datagrams of `message`. @returns how many */
export function writeMessage(bytes: Buffer, { phaseId, number, first, datagramBytes }: Message): number {
  const from = (number % FILLER_STEPS) * FILLER_STEP_BYTES;
  filler.copy(bytes, 0, from, from + bytes.length);
  const count = Math.ceil(bytes.length / datagramBytes);
  for (let index = 0, at = 0; index < count; index++, at += datagramBytes) {
    const end = Math.min(at + datagramBytes, bytes.length) - CRC_BYTES;
    bytes.writeUInt32LE(phaseId, at);
    bytes.writeUInt32LE(first + index, at + 4);
    bytes.writeUInt32LE(number, at + 8);
    bytes.writeUInt16LE(index, at + 12);
    bytes.writeUInt16LE(count, at + 14);
    bytes.writeUInt32LE(crc32(bytes.subarray(at, end)), end);
  }
  return count;
}

/** True when `bytes` are a whole datagram of the phase as it was sent, not a byte more or less. */
export function isWhole(bytes: Buffer, phaseId: number): boolean {
  return bytes.length >= DATAGRAM_BYTES_MIN && crc32(bytes) === CRC_OF_WHOLE && bytes.readUInt32LE(0) === phaseId;
}

export function numberOf(bytes: Buffer): number {
  return bytes.readUInt32LE(4);
}

/** Where it is in its message. */
export function placeOf(bytes: Buffer): { readonly index: number; readonly count: number } {
  return { index: bytes.readUInt16LE(12), count: bytes.readUInt16LE(14) };
}

import { JumboError } from "../errors.ts";

/** Seven bits a byte: ten of them hold 64 bits. */
export const VARINT_BYTES_MAX = 10;
/** The tenth byte has room for the 64th bit only. */
const LAST_BYTE_MAX = 1;

/**
 * How many bytes the varint at `at` has; 0 when the `available` bytes are not all of it. Seven bits a byte, lowest first, the
 * top bit says that another byte follows (LEB128, as in Protocol Buffers).
 * @throws JumboError `ERR_JUMBO_VARINT_INVALID` when it has more than 64 bits
 */
export function varintLength(view: DataView, at: number, available: number): number {
  const bytes = Math.min(available, VARINT_BYTES_MAX);
  for (let i = 0; i < bytes; i++) {
    const byte = view.getUint8(at + i);
    if (i === VARINT_BYTES_MAX - 1 && byte > LAST_BYTE_MAX) throw invalid("has more than 64 bits");
    if (byte < 0x80) return i + 1;
  }
  return 0;
}

/** @throws JumboError `ERR_JUMBO_VARINT_INVALID` when it is above 2^53 − 1 */
export function safeVarint(view: DataView, at: number, length: number): number {
  let value = 0;
  for (let i = length - 1; i >= 0; i--) value = value * 0x80 + (view.getUint8(at + i) & 0x7f);
  if (value > Number.MAX_SAFE_INTEGER) throw invalid("is above 2^53 - 1: read it with readBigVarint()");
  return value;
}

export function bigVarint(view: DataView, at: number, length: number): bigint {
  const lowBytes = Math.min(length, 7); // 49 bits
  const low = BigInt(safeVarint(view, at, lowBytes));
  return length === lowBytes ? low : low | (BigInt(safeVarint(view, at + lowBytes, length - lowBytes)) << 49n);
}

function invalid(what: string): JumboError {
  return new JumboError("ERR_JUMBO_VARINT_INVALID", `the varint at the cursor ${what}`);
}

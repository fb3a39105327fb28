import { JumboError } from "../errors.ts";

/** `value`, if it is a whole number from 0 to `max`. @throws JumboError `ERR_JUMBO_CHAIN_RANGE` */
export function wholeBytes(name: string, value: number, max: number): number {
  if (Number.isSafeInteger(value) && value >= 0 && value <= max) return value;
  throw new JumboError(
    "ERR_JUMBO_CHAIN_RANGE",
    `${name} must be a whole number from 0 to ${max}, not ${String(value)}`,
  );
}

/** `index` as `Buffer.subarray` reads it: below 0 from the end, and always on a chain of `length` bytes. */
export function clampedIndex(index: number, length: number): number {
  const whole = Math.trunc(index) || 0; // NaN is 0
  return whole < 0 ? Math.max(0, length + whole) : Math.min(whole, length);
}

/** `value` itself. @throws JumboError `ERR_JUMBO_OPTION_INVALID` */
export function bytesOf(value: unknown): Uint8Array {
  if (value instanceof Uint8Array) return value;
  throw new JumboError("ERR_JUMBO_OPTION_INVALID", `bytes are a Uint8Array, not ${String(value)}`);
}

/** The bytes that a search looks for: text is UTF-8, a number one byte. @throws JumboError `ERR_JUMBO_OPTION_INVALID` */
export function needleOf(value: string | number | Uint8Array): Buffer {
  if (typeof value === "string") return Buffer.from(value);
  if (typeof value === "number") return Buffer.of(value);
  const { buffer, byteOffset, byteLength } = bytesOf(value);
  return Buffer.from(buffer, byteOffset, byteLength);
}

/** `value`, if it is a count of bytes that a Number can hold an integer of. @throws JumboError `ERR_JUMBO_OPTION_INVALID` */
export function integerBytes(value: number): number {
  if (Number.isInteger(value) && value >= 1 && value <= 6) return value;
  throw new JumboError(
    "ERR_JUMBO_OPTION_INVALID",
    `byteLength must be a whole number from 1 to 6, not ${String(value)}`,
  );
}

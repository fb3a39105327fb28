import { JumboError } from "../errors.ts";
import { integerBytes, needleOf, wholeBytes } from "./chain-arguments.ts";
import { copyOut, find } from "./chain-search.ts";
import { CursorPlace } from "./cursor-place.ts";
import type { SegmentDeque } from "./segment-deque.ts";
import { VARINT_BYTES_MAX, bigVarint, safeVarint, varintLength } from "./varint.ts";

/**
 * Reads fields from a chain, one behind the other, whatever segments they lie in; nothing is joined or let go.
 *
 *     chain   [ a1 b2 c3 ][ d4 ][ e5 f6 … ]      readUInt8() → a1, readUInt32BE() → b2c3d4e5
 *                   ▲ offset 1
 *
 * The readers have the names of Buffer's. One that needs more bytes than there are throws, and the cursor stays where it is;
 * those whose length only the bytes tell ({@link readVarint}, {@link readLine}) return null instead: more has to come.
 *
 * It keeps its place when bytes are put in or trimmed off: `chain.trimStart(cursor.offset)` lets go what has been read, and the
 * offset is 0 then. Where its place itself was taken away it refuses until {@link seek} moves it.
 *
 * Every method throws `ERR_JUMBO_CHAIN_RELEASED`, and `ERR_JUMBO_CHAIN_RANGE` where there are no such bytes. O(1), and
 * O(log segments) after a change of the chain.
 */
export class Cursor {
  readonly #place: CursorPlace;

  /** @internal Made by `chain.cursor()`. */
  constructor(deque: SegmentDeque) {
    this.#place = new CursorPlace(deque);
  }

  /** How many of the chain's bytes are before the cursor; below 0 when more was taken away than it had passed. */
  get offset(): number {
    return this.#place.offset;
  }

  /** How many bytes are left to read. */
  get remainingBytes(): number {
    return this.#place.deque.lengthBytes - this.#place.offset;
  }

  /** Moves to `offset`. @returns this cursor */
  seek(offset: number): this {
    const { deque } = this.#place;
    this.#place.checkLive();
    this.#place.enter(deque.startAt + wholeBytes("offset", offset, deque.lengthBytes));
    return this;
  }

  /** Moves on by `bytes`. @returns this cursor */
  skip(bytes: number): this {
    this.#place.pass(wholeBytes("bytes", bytes, Number.MAX_SAFE_INTEGER));
    return this;
  }

  /** 8 bits, unsigned. */
  readUInt8(): number {
    const at = this.#place.take(1);
    return this.#place.view.getUint8(at);
  }

  /** 8 bits, signed. */
  readInt8(): number {
    const at = this.#place.take(1);
    return this.#place.view.getInt8(at);
  }

  /** 16 bits, unsigned, big endian. */
  readUInt16BE(): number {
    const at = this.#place.take(2);
    return this.#place.view.getUint16(at);
  }

  /** 16 bits, unsigned, little endian. */
  readUInt16LE(): number {
    const at = this.#place.take(2);
    return this.#place.view.getUint16(at, true);
  }

  /** 16 bits, signed, big endian. */
  readInt16BE(): number {
    const at = this.#place.take(2);
    return this.#place.view.getInt16(at);
  }

  /** 16 bits, signed, little endian. */
  readInt16LE(): number {
    const at = this.#place.take(2);
    return this.#place.view.getInt16(at, true);
  }

  /** 32 bits, unsigned, big endian. */
  readUInt32BE(): number {
    const at = this.#place.take(4);
    return this.#place.view.getUint32(at);
  }

  /** 32 bits, unsigned, little endian. */
  readUInt32LE(): number {
    const at = this.#place.take(4);
    return this.#place.view.getUint32(at, true);
  }

  /** 32 bits, signed, big endian. */
  readInt32BE(): number {
    const at = this.#place.take(4);
    return this.#place.view.getInt32(at);
  }

  /** 32 bits, signed, little endian. */
  readInt32LE(): number {
    const at = this.#place.take(4);
    return this.#place.view.getInt32(at, true);
  }

  /** 64 bits, unsigned, big endian. */
  readBigUInt64BE(): bigint {
    const at = this.#place.take(8);
    return this.#place.view.getBigUint64(at);
  }

  /** 64 bits, unsigned, little endian. */
  readBigUInt64LE(): bigint {
    const at = this.#place.take(8);
    return this.#place.view.getBigUint64(at, true);
  }

  /** 64 bits, signed, big endian. */
  readBigInt64BE(): bigint {
    const at = this.#place.take(8);
    return this.#place.view.getBigInt64(at);
  }

  /** 64 bits, signed, little endian. */
  readBigInt64LE(): bigint {
    const at = this.#place.take(8);
    return this.#place.view.getBigInt64(at, true);
  }

  /** 32 bits, floating, big endian. */
  readFloatBE(): number {
    const at = this.#place.take(4);
    return this.#place.view.getFloat32(at);
  }

  /** 32 bits, floating, little endian. */
  readFloatLE(): number {
    const at = this.#place.take(4);
    return this.#place.view.getFloat32(at, true);
  }

  /** 64 bits, floating, big endian. */
  readDoubleBE(): number {
    const at = this.#place.take(8);
    return this.#place.view.getFloat64(at);
  }

  /** 64 bits, floating, little endian. */
  readDoubleLE(): number {
    const at = this.#place.take(8);
    return this.#place.view.getFloat64(at, true);
  }

  /** 1 to 6 bytes, unsigned, big endian. */
  readUIntBE(byteLength: number): number {
    const start = this.#place.take(integerBytes(byteLength));
    let value = 0;
    for (let i = 0; i < byteLength; i++) value = value * 0x100 + this.#place.view.getUint8(start + i);
    return value;
  }

  /** 1 to 6 bytes, unsigned, little endian. */
  readUIntLE(byteLength: number): number {
    const start = this.#place.take(integerBytes(byteLength));
    let value = 0;
    for (let i = byteLength - 1; i >= 0; i--) value = value * 0x100 + this.#place.view.getUint8(start + i);
    return value;
  }

  /** 1 to 6 bytes, signed, big endian. */
  readIntBE(byteLength: number): number {
    return signed(this.readUIntBE(byteLength), byteLength);
  }

  /** 1 to 6 bytes, signed, little endian. */
  readIntLE(byteLength: number): number {
    return signed(this.readUIntLE(byteLength), byteLength);
  }

  /**
   * An unsigned LEB128 varint, as in Protocol Buffers; null when its end is not there yet.
   * @throws JumboError `ERR_JUMBO_VARINT_INVALID` above 2^53 − 1
   */
  readVarint(): number | null {
    return this.#varint(safeVarint);
  }

  /** The same with up to 64 bits. @throws JumboError `ERR_JUMBO_VARINT_INVALID` when it has more */
  readBigVarint(): bigint | null {
    return this.#varint(bigVarint);
  }

  /** `bytes` bytes as text. One that crosses a border is put together first; no more than it is copied. */
  readString(bytes: number, encoding: BufferEncoding = "utf8"): string {
    const place = this.#place;
    place.need(wholeBytes("bytes", bytes, Number.MAX_SAFE_INTEGER));
    const text = place.textInReach(bytes, encoding) ?? this.#copy(Buffer.allocUnsafe(bytes)).toString(encoding);
    place.pass(bytes);
    return text;
  }

  /** A copy of `bytes` bytes in memory of your own. To share them, `chain.copyRange(cursor.offset, bytes)`. */
  readBytes(bytes: number): Buffer<ArrayBuffer> {
    this.#place.need(wholeBytes("bytes", bytes, Number.MAX_SAFE_INTEGER));
    const copy = this.#copy(Buffer.allocUnsafeSlow(bytes));
    this.#place.pass(bytes);
    return copy;
  }

  /**
   * The text up to the next `delimiter`, which is passed as well and left out; null when there is none yet.
   *
   * Each call looks from the cursor on, so put a limit on what you let come without one: `remainingBytes`.
   * @throws JumboError `ERR_JUMBO_OPTION_INVALID` when `delimiter` is empty
   */
  readLine(delimiter: string | number | Uint8Array = "\n", encoding: BufferEncoding = "utf8"): string | null {
    const place = this.#place;
    const needle = needleOf(delimiter);
    if (needle.length === 0) throw new JumboError("ERR_JUMBO_OPTION_INVALID", "delimiter must not be empty");
    place.need(0);
    const end = find(place.deque, needle, place.at);
    if (end === null) return null;
    const text = this.readString(end - place.at, encoding);
    place.pass(needle.length);
    return text;
  }

  #varint<Value>(decode: (view: DataView, at: number, length: number) => Value): Value | null {
    const place = this.#place;
    const available = place.reach(VARINT_BYTES_MAX);
    const { view, viewAt } = place;
    const length = varintLength(view, viewAt, available);
    if (length === 0) return null;
    const value = decode(view, viewAt, length);
    place.take(length);
    return value;
  }

  #copy(target: Buffer<ArrayBuffer>): Buffer<ArrayBuffer> {
    copyOut(this.#place.deque, this.#place.at, target);
    return target;
  }
}

function signed(value: number, bytes: number): number {
  const half = 2 ** (bytes * 8 - 1);
  return value < half ? value : value - 2 * half;
}

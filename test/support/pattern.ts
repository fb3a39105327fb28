/** Bytes that say where in a stream they belong, so that a lost, doubled, moved or overwritten one is seen. */

const PERIOD = 251 * 256; // no power of two divides it evenly into pages
const block = Buffer.alloc(PERIOD * 2);
for (let i = 0; i < block.length; i++) block[i] = ((i % 251) * 7 + ((i % PERIOD) >> 8) * 13) & 0xff;

/** The stream's bytes from `offset` on. A view: do not write to it. */
export function pattern(offset: number, length: number): Buffer {
  const start = offset % PERIOD;
  if (start + length <= block.length) return block.subarray(start, start + length);
  const parts: Buffer[] = [];
  for (let at = 0; at < length; at += PERIOD) parts.push(pattern(offset + at, Math.min(PERIOD, length - at)));
  return Buffer.concat(parts);
}

/** True when `bytes` are the stream's from `offset` on. */
export function isPattern(bytes: Uint8Array, offset: number): boolean {
  return Buffer.compare(bytes, pattern(offset, bytes.length)) === 0;
}

/** From so many bytes on `fill` is faster than `set`, also with a view to be made for it. */
const FILL_BYTES_MIN = 512;

/**
 * Copies `source` to `target` from `offset` on, where there is room for it.
 *
 * To or from shared memory `set` and `copy` go word by word, as the memory model wants it of them; `fill`, given bytes to repeat once, is a memcpy:
 * two to three times as fast for a long message. The bytes are nobody else's while we copy them, so nothing is lost by that.
 */
export function copyBytes(source: Uint8Array, target: Uint8Array, offset: number): void {
  if (source.length < FILL_BYTES_MIN) target.set(source, offset);
  else bufferOver(target).fill(source, offset, offset + source.length);
}

/** Only a `Buffer` can be filled with bytes. */
function bufferOver(target: Uint8Array): Buffer {
  if (target instanceof Buffer) return target;
  return Buffer.from(target.buffer, target.byteOffset, target.length);
}

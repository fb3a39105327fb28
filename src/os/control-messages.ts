/**
 * The ancillary data that comes with a message (cmsg(3)), as 64-bit Linux lays it out.
 *
 *     ┌ cmsghdr ─────────────────────────────┐
 *     │ length: u64 │ level: i32 │ type: i32 │ data … padded to 8 │ cmsghdr …
 *     └──────────────────────────────────────┘
 *       length counts the header and the data, without the padding
 */
export const CMSG_HEADER_BYTES = 16;
const ALIGN_BYTES = 8;

/**
 * Finds the first control message of `level` and `type` with at least `dataBytes` of data.
 *
 * Trusts no length: whatever is in the area, it looks at nothing outside of `words[first]` and the `lengthBytes` from there on,
 * and comes to an end.
 * @returns the index in `words` where its data begin; −1 when there is none, or what comes before it makes no sense
 */
export function findControl(
  words: Int32Array,
  first: number,
  lengthBytes: number,
  level: number,
  type: number,
  dataBytes: number,
): number {
  let at = first;
  let restBytes = Math.min(lengthBytes, (words.length - first) * 4);
  while (restBytes >= CMSG_HEADER_BYTES) {
    const length = words[at]!; // in range: restBytes says so
    if (words[at + 1] !== 0 || length < CMSG_HEADER_BYTES || length > restBytes) return -1;
    if (words[at + 2] === level && words[at + 3] === type && length - CMSG_HEADER_BYTES >= dataBytes) return at + 4;
    const step = Math.ceil(length / ALIGN_BYTES) * ALIGN_BYTES;
    at += step / 4;
    restBytes -= step;
  }
  return -1;
}

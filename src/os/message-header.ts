/**
 * struct mmsghdr of 64-bit Linux, in words of 32 bits: what recvmmsg(2) and sendmmsg(2) take an array of.
 *
 *     word   0     2         4       6         8         10        12     14
 *            name  name's    iovecs  their     control   control   flags  message's
 *            (ptr) length    (ptr)   count     (ptr)     length           length
 *
 * Pointers and sizes take two words, the low one first: x86-64 and arm64 are little-endian. An iovec is a pointer and a size.
 */
export const HEADER_WORDS = 16;
export const NAME_ADDRESS = 0;
export const NAME_LENGTH = 2;
export const IOVECS_ADDRESS = 4;
export const IOVECS_COUNT = 6;
export const CONTROL_ADDRESS = 8;
export const CONTROL_LENGTH = 10;
export const FLAGS = 12;
export const MESSAGE_LENGTH = 14;
export const IOVEC_WORDS = 4;
export const IOVEC_LENGTH = 2;

/** Writes `address` to the two words from `words[word]` on. Whoever does it keeps what lies there for as long as the kernel may look. */
export function writePointer(words: Int32Array, word: number, address: number): void {
  words[word] = (address % 2 ** 32) | 0;
  words[word + 1] = Math.floor(address / 2 ** 32);
}

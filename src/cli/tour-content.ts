import { createCipheriv } from "node:crypto";

/** What the tour sends: 1 GiB, the same on every machine. */
export const TOUR_BYTES: number = 2 ** 30;
/** Its SHA-256, worked out apart from sending it; `test/cli/tour.test.ts` does so again. */
export const TOUR_SHA256 = "bdb180a45d23cf7be9a3011bdda1c7a5a795e06f5b7b651c2df13de7cca5d831";
export const TOUR_BLOCK_BYTES: number = 2 ** 20;
const STAMP_EVERY_BYTES = 4096;

/** A block of pseudo-random bytes, to be stamped: the key stream of AES in counter mode under a key of zeros. */
export function makeTourBlock(): Buffer {
  const cipher = createCipheriv("aes-128-ctr", Buffer.alloc(16), Buffer.alloc(16));
  return cipher.update(Buffer.alloc(TOUR_BLOCK_BYTES));
}

/** Makes it the block number `index`: each 4 KiB says where it belongs, so that one lost, doubled or moved is seen. */
export function stampTourBlock(block: Buffer, index: number): void {
  const stamps = TOUR_BLOCK_BYTES / STAMP_EVERY_BYTES;
  for (let stamp = 0; stamp < stamps; stamp++) block.writeUInt32LE(index * stamps + stamp, stamp * STAMP_EVERY_BYTES);
}

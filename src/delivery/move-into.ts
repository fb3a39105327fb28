import { MbufChain } from "../mbuf/chain.ts";
import { optionInvalid } from "../option.ts";
import { putSegments } from "./place-in.ts";

/**
 * Moves the bytes of `chain` to the front of `target`, as many as there are and fit; the chain lets go of what was moved.
 *
 *     header of the first page, parsed there ──trimStart──▶ chain ──▶ target, page-aligned      long stretches of whole pages: flipped
 *
 * **Flipped** are whole pages that lie side by side, of which the chain has the only hold, into a target that is page-aligned in a WebAssembly memory, when
 * the stretch is at least `zeroCopy.flipMinBytes` long. Anything else is **copied**, once. Either way the bytes are the same; `zeroCopy` counts. A
 * page that was flipped goes back to its pool with what the target had.
 *
 * Synchronous. O(segments of the chain)
 * @returns how many bytes
 * @throws JumboError `ERR_JUMBO_OPTION_INVALID`, `ERR_JUMBO_CHAIN_RELEASED`; nothing is changed then
 */
export function moveInto(target: Uint8Array, chain: MbufChain): number {
  if (!(target instanceof Uint8Array)) throw optionInvalid("target", "a Uint8Array", target);
  if (!(chain instanceof MbufChain)) throw optionInvalid("chain", "an MbufChain", chain);
  const moved = putSegments(chain.parts(), target);
  chain.trimStart(moved); // after the exchange: until now the pages were ours
  return moved;
}

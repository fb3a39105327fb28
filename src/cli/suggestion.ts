/** How many letters may be wrong in a word of that length. */
function distanceMax(word: string): number {
  return Math.max(1, Math.floor(word.length / 3));
}

/** `(did you mean tls?)`, with a space before it, or "" when nothing in `candidates` is like `word`. */
export function didYouMean(word: string, candidates: readonly string[]): string {
  const ranked = candidates
    .map((candidate) => ({ candidate, distance: editDistance(word.toLowerCase(), candidate) }))
    .filter(({ candidate, distance }) => distance <= distanceMax(candidate))
    .sort((a, b) => a.distance - b.distance);
  const best = ranked[0];
  return best === undefined ? "" : ` (did you mean ${best.candidate}?)`;
}

/** How many letters to insert, delete, replace, or swap with their neighbour. Words on a command line are short. */
function editDistance(from: string, to: string): number {
  let before: number[] = [];
  let row = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let i = 1; i <= from.length; i++) {
    const next = [i];
    for (let j = 1; j <= to.length; j++) {
      const replaced = at(row, j - 1) + (from[i - 1] === to[j - 1] ? 0 : 1);
      const isSwapped = from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1];
      const swapped = isSwapped ? at(before, j - 2) + 1 : Infinity;
      next.push(Math.min(replaced, swapped, at(row, j) + 1, at(next, j - 1) + 1));
    }
    before = row;
    row = next;
  }
  return at(row, to.length);
}

function at(row: readonly number[], index: number): number {
  return row[index] ?? Infinity;
}

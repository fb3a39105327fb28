/**
 * The same bytes in as few views as can be: those that lie side by side in memory become one. No copy; O(views).
 *
 *     [ page 4 ][ page 5 ][ page 6 ]   [ page 9 ]   ──▶   [ pages 4 to 6 ]   [ page 9 ]
 */
export function joinViews(views: readonly Buffer[]): Buffer[] {
  const joined: Buffer[] = [];
  for (let start = 0, end = 0; start < views.length; start = end) {
    const first = views[start]!;
    let lengthBytes = first.length;
    for (end = start + 1; end < views.length && isNext(first, lengthBytes, views[end]!); end++)
      lengthBytes += views[end]!.length;
    joined.push(end === start + 1 ? first : Buffer.from(first.buffer, first.byteOffset, lengthBytes));
  }
  return joined;
}

function isNext(first: Buffer, lengthBytes: number, next: Buffer): boolean {
  return next.byteOffset === first.byteOffset + lengthBytes && next.buffer === first.buffer;
}

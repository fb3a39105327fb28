/** Resolves when `isTrue` holds; rejects after `limitMs`. For what only a timer of the pool brings about. */
export function until(isTrue: () => boolean, what: string, limitMs = 20_000): Promise<void> {
  const deadline = performance.now() + limitMs;
  return new Promise((resolve, reject) => {
    const look = setInterval(() => {
      const isLate = performance.now() > deadline;
      if (!isTrue() && !isLate) return;
      clearInterval(look);
      if (isLate) reject(new Error(`not within ${limitMs} ms: ${what}`));
      else resolve();
    }, 2);
  });
}

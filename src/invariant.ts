/** Our bug: a law of this library does not hold. Nothing a caller does should raise one; please report it. */
export class InvariantError extends Error {
  override readonly name: string = "InvariantError";
}

/** Throws {@link InvariantError} unless `holds`. For laws that only our own bug can break. */
export function invariant(holds: boolean, law: string): asserts holds {
  if (!holds) throw new InvariantError(`jumbo is broken, please report it: ${law}`);
}

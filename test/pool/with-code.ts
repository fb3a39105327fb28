import { JumboError } from "../../src/errors.ts";
import type { JumboErrorCode } from "../../src/errors.ts";

/** For `assert.throws` and `assert.rejects`: a JumboError with this code, and nothing else. */
export function withCode(code: JumboErrorCode): (error: unknown) => boolean {
  return (error) => error instanceof JumboError && error.code === code;
}

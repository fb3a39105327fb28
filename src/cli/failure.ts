import { getSystemErrorMap } from "node:util";
import { InvariantError } from "../invariant.ts";

/** 2: what was asked for makes no sense. 1: it did, and could not be done. */
export type FailureCode = 1 | 2;

/**
 * Something that the person at the keyboard, or the machine, has to change: shown as one line, without a stack trace.
 *
 * The message says what is wrong and what to do next.
 */
export class Failure extends Error {
  override readonly name: string = "Failure";
  readonly exitCode: FailureCode;

  constructor(message: string, exitCode: FailureCode, options?: ErrorOptions) {
    super(message, options);
    this.exitCode = exitCode;
  }
}

export function usageFailure(message: string): Failure {
  return new Failure(message, 2);
}

export function runtimeFailure(message: string, cause?: unknown): Failure {
  return new Failure(message, 1, { cause });
}

/** The code of a system error, such as `ENOSPC`, or that of any other error that carries one; "" when there is none. */
export function codeOf(error: unknown): string {
  const carriesCode = typeof error === "object" && error !== null && "code" in error;
  return carriesCode && typeof error.code === "string" ? error.code : "";
}

/** What the system says, without the call and the path that Node puts around it: `no space left on device (ENOSPC)`. */
export function reasonOf(error: unknown): string {
  const code = codeOf(error);
  if (error instanceof Error && "errno" in error && typeof error.errno === "number") {
    const [, text] = getSystemErrorMap().get(error.errno) ?? [];
    if (text !== undefined) return `${text} (${code})`;
  }
  if (code.startsWith("ERR_SSL_") && error instanceof Error && "reason" in error)
    return `${String(error.reason)} (${code})`;
  const message = error instanceof Error ? error.message : String(error);
  const firstLine = message.split("\n", 1)[0] ?? "";
  return code === "" || firstLine.includes(code) ? firstLine : `${firstLine} (${code})`;
}

/** What to print: one line for a {@link Failure}, a stack for what nobody expected, which is ours to repair. */
export function describeError(error: unknown): string {
  if (error instanceof Failure) return `jumbo: ${error.message}`;
  if (error instanceof InvariantError) return `jumbo: ${error.stack ?? error.message}`;
  return `jumbo: unexpected, please report it: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
}

import { getSystemErrorName } from "node:util";

/** An error as Node makes them: `code`, `errno`, `syscall`. `errno` is negative, as system calls give it. */
export function systemError(errno: number, syscall: string): NodeJS.ErrnoException {
  const code = getSystemErrorName(errno);
  return Object.assign(new Error(`${syscall} ${code}`), { errno, code, syscall });
}

/** `EPERM` for −1. */
export function errorName(code: number): string {
  return code < 0 ? getSystemErrorName(code) : `it answers ${code}`;
}

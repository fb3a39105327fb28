import { inspect } from "node:util";
import { JumboError } from "./errors.ts";

/** `value`, if it is an integer in that range. @throws JumboError `ERR_JUMBO_OPTION_INVALID` naming the option */
export function checkedInteger(name: string, value: unknown, min: number, max: number): number {
  if (typeof value !== "number" || !Number.isInteger(value) || value < min || value > max) {
    throw optionInvalid(name, `an integer from ${min} to ${max}`, value);
  }
  return value;
}

/** `value`, if it is a boolean. @throws JumboError `ERR_JUMBO_OPTION_INVALID` naming the option */
export function checkedFlag(name: string, value: unknown): boolean {
  if (typeof value !== "boolean") throw optionInvalid(name, "true or false", value);
  return value;
}

export function optionInvalid(option: string, expected: string, value: unknown): JumboError {
  const shown = inspect(value, { depth: 0, breakLength: Number.POSITIVE_INFINITY });
  return new JumboError("ERR_JUMBO_OPTION_INVALID", `${option} must be ${expected}, not ${shown}`);
}

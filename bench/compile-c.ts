/**
 * Compiles `bench/c/<name>.c` with `cc -O2` into a temporary folder that goes away with this process.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import process from "node:process";
import { repositoryRoot } from "./repository.ts";

export type Compiled = { readonly program: string } | { readonly program: null; readonly reason: string };

let folder: string | null = null;
const done = new Map<string, Compiled>();

/** The program, or why there is none. Compiled once per name. */
export function compileC(name: string): Compiled {
  const known = done.get(name);
  if (known !== undefined) return known;
  const compiled = compile(name);
  done.set(name, compiled);
  return compiled;
}

function compile(name: string): Compiled {
  const program = path.join(temporaryFolder(), name);
  const source = path.join(repositoryRoot, "bench", "c", `${name}.c`);
  try {
    execFileSync("cc", ["-O2", "-Wall", "-o", program, source], { stdio: ["ignore", "ignore", "pipe"] });
    return { program };
  } catch (error) {
    return { program: null, reason: reasonOf(error) };
  }
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if ("code" in error && error.code === "ENOENT") return "there is no C compiler (cc)";
  return `cc failed: ${error.message.split("\n").slice(1, 3).join(" ")}`;
}

function temporaryFolder(): string {
  if (folder === null) {
    const made = mkdtempSync(path.join(os.tmpdir(), "jumbo-bench-"));
    process.once("exit", () => rmSync(made, { recursive: true, force: true }));
    folder = made;
  }
  return folder;
}

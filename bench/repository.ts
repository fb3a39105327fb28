/**
 * Where this repository is, from a compiled file in it: `dist/bench/x.js` ──up──▶ the folder with `package.json`.
 */
import { existsSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const LEVELS_MAX = 8;

/** @throws Error when no folder above this file has a package.json */
function findRoot(): string {
  let folder = path.dirname(fileURLToPath(import.meta.url));
  for (let level = 0; level < LEVELS_MAX; level++) {
    if (existsSync(path.join(folder, "package.json"))) return folder;
    folder = path.dirname(folder);
  }
  throw new Error("no package.json above the bench");
}

/** The folder with package.json; sources that tsc does not emit (C) are found from here. */
export const repositoryRoot: string = findRoot();

/** The compiled file beside this one: what a child process runs. */
export function compiledFile(name: string): string {
  return fileURLToPath(new URL(name, import.meta.url));
}

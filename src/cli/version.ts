import { existsSync, readFileSync } from "node:fs";

const LEVELS_MAX = 5;

/** This package's version, from the `package.json` above this file: two folders up in the sources, three when compiled. */
export const VERSION: string = readVersion(new URL(".", import.meta.url));

function readVersion(from: URL): string {
  let folder = from;
  for (let level = 0; level < LEVELS_MAX; level++) {
    const file = new URL("package.json", folder);
    if (existsSync(file)) {
      const manifest: unknown = JSON.parse(readFileSync(file, "utf8"));
      if (typeof manifest === "object" && manifest !== null && "version" in manifest) return String(manifest.version);
    }
    folder = new URL("..", folder);
  }
  return "unknown";
}

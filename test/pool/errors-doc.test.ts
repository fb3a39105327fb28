/**
 * Shows that `docs/errors.md` and the codes in `src/errors.ts` are the same set, that each entry says everything an entry
 * has to say, and that each code is raised somewhere.
 */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";

const ROOT = path.join(import.meta.dirname, "../../..");
const CODE = /\bERR_JUMBO_[A-Z_]+\b/g;

function read(file: string): string {
  return readFileSync(path.join(ROOT, file), "utf8");
}

/** The members of the union type, in order. */
function codesInSource(): string[] {
  const [, union] = /export type JumboErrorCode =([^;]+);/.exec(read("src/errors.ts")) ?? [];
  assert(union !== undefined, "src/errors.ts declares the codes");
  return union.match(CODE) ?? [];
}

const document = read("docs/errors.md");
const codes = codesInSource();
const entries = new Map(
  document
    .split(/^## /m)
    .slice(1)
    .map((entry) => [/^`([^`]+)`/.exec(entry)?.[1] ?? entry, entry]),
);

test("every code has an entry, every entry is of a code, in the same order", () => {
  assert(codes.length > 10, "codes were found at all");
  assert.deepEqual(codes, codes.toSorted());
  assert.deepEqual([...entries.keys()], codes);
});

test("the table names every code once, and links to its entry", () => {
  const rows = [...document.matchAll(/^\| \[`(ERR_[A-Z_]+)`\]\(#([a-z_]+)\) \| .+ \|$/gm)];
  assert.deepEqual(
    rows.map(([, code]) => code),
    codes,
  );
  for (const [, code, anchor] of rows) assert.equal(anchor, code?.toLowerCase());
});

test("each entry says who raises it, why, what state things are in, and what to do", () => {
  for (const [code, entry] of entries) {
    for (const part of ["**Raised by** ", "**Cause:** ", "**State afterwards:** ", "**What to do:** "]) {
      assert.equal(entry.split(`- ${part}`).length, 2, `${code}: ${part}`);
    }
  }
});

test("each code is raised somewhere in src/, and nothing raises another", () => {
  const sources = readdirSync(path.join(ROOT, "src"), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts") && file !== "errors.ts")
    .map((file) => read(path.join("src", file)));
  const raised = new Set(
    sources.flatMap((source) => [...source.matchAll(/"(ERR_JUMBO_[A-Z_]+)"/g)].map(([, code]) => code)),
  );
  assert.deepEqual(raised, new Set(codes));
});

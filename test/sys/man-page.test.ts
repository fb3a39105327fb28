/**
 * Shows that the man page renders without a warning at 80 columns, has the sections a man page has, names every function that
 * `jumbo/sys` exports, and that its example runs.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import * as sys from "../../src/sys/index.ts";

const PAGE = path.join(import.meta.dirname, "../../../man/jumbo.9");
const source = readFileSync(PAGE, "utf8");
const skip = spawnSync("man", ["--version"]).error !== undefined && "man is not installed";

test("renders without a warning, no line wider than 80 columns", { skip }, () => {
  const environment = { ...process.env, MANWIDTH: "80", LC_ALL: "C.UTF-8" };
  const { status, stdout, stderr } = spawnSync("man", ["--warnings", "-E", "UTF-8", "-l", PAGE], {
    encoding: "utf8",
    env: environment,
  });
  assert.equal(stderr, "");
  assert.equal(status, 0);
  const lines = stdout.split("\n");
  assert(lines.length > 50, "there is a page");
  assert.deepEqual(
    lines.filter((line) => line.length > 80),
    [],
  );
});

test("has the sections of a man page, in their order", () => {
  const sections = [...source.matchAll(/^\.Sh (.+)$/gm)].map(([, name]) => name);
  const expected = [
    "NAME",
    "SYNOPSIS",
    "DESCRIPTION",
    "RETURN VALUES",
    "EXAMPLES",
    "ERRORS",
    "SEE ALSO",
    "HISTORY",
    "BUGS",
  ];
  assert.deepEqual(sections, expected);
});

test("describes every function that jumbo/sys exports", () => {
  const functions = Object.entries(sys).flatMap(([name, value]) => (typeof value === "function" ? [name] : []));
  assert(functions.length >= 12);
  for (const name of functions) {
    assert.match(source, new RegExp(`^${name}\\(`, "m"), `${name} is in the synopsis`);
    assert.match(source, new RegExp(`^\\.It .*Fn ${name}\\b`, "m"), `${name} is in the description`);
  }
});

test("its example runs", () => {
  const [, example] = /^\.Bd -literal -offset indent\n([^]*?)^\.Ed$/m.exec(source) ?? [];
  assert(example !== undefined, "there is an example");
  const entry = new URL("../../src/sys/index.js", import.meta.url).href;
  const script = example.replace('"jumbo/sys"', JSON.stringify(entry));
  assert.notEqual(script, example);
  const argv = ["--input-type=module", "--eval", script];
  const { stdout, stderr } = spawnSync(process.execPath, argv, { input: "a page of text", encoding: "utf8" });
  assert.equal(stderr, "");
  assert.equal(stdout, "a page of text");
});

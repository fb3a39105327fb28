/**
 * Shows that imports in src/ go down, or stay within a folder; that packages come in only where design allows them; and
 * that no file has outgrown what a reader takes in at once.
 *
 *     6  cli/  status/
 *        dgram/  delivery/              the drop-in, on top of udp/; bytes on their way out, on top of the receivers
 *     5  tcp/  udp/  adapter/
 *     3  sys/  mbuf/
 *        index.ts                       the public entry: pool/ and below
 *     2  pool/
 *     1  memory/  os/
 *     0  errors.ts, invariant.ts, and whatever else lies in src/ itself
 *
 * Imports of types count like any others: what a type names is what a reader has to know.
 */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";

const FILE_LINES_MAX = 300;

const floorOfFolder: ReadonlyMap<string, number> = new Map([
  ["memory", 1],
  ["os", 1],
  ["pool", 2],
  ["sys", 3],
  ["mbuf", 3],
  ["tcp", 5],
  ["udp", 5],
  ["dgram", 5.5],
  ["delivery", 5.5],
  ["adapter", 5],
  ["cli", 6],
  ["status", 6],
]);
/** Above pool/, below everything that is built on the pool. */
const ENTRY_FLOOR = 2.5;

/** One import as it stands in a file; `file` is relative to src/, with forward slashes. */
type Import = { readonly file: string; readonly specifier: string };
type Packages = { readonly dependencies: ReadonlySet<string>; readonly own: string };

/** `pool/page.ts` lies in `pool`; `errors.ts` and `index.ts` lie in the folder named "". */
function folderOf(file: string): string {
  const slash = file.indexOf("/");
  return slash === -1 ? "" : file.slice(0, slash);
}

function floorOf(file: string): number | undefined {
  if (file === "index.ts") return ENTRY_FLOOR;
  const folder = folderOf(file);
  return folder === "" ? 0 : floorOfFolder.get(folder);
}

/** What is wrong with a relative import, or undefined. */
function floorViolation({ file, specifier }: Import): string | undefined {
  const target = path.posix.join(path.posix.dirname(file), specifier);
  if (target.startsWith("..")) return "leaves src/";
  const from = floorOf(file);
  const to = floorOf(target);
  if (from === undefined) return `no floor is known for ${file}`;
  if (to === undefined) return `no floor is known for ${target}`;
  if (to > from) return "goes up";
  if (to === from && folderOf(target) !== folderOf(file)) return "goes sideways to another folder";
  return undefined;
}

/** What is wrong with an import of a package, or undefined. */
function packageViolation({ file, specifier }: Import, packages: Packages): string | undefined {
  if (specifier.startsWith("node:")) return undefined;
  const name = specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/");
  const folder = folderOf(file);
  if (name === packages.own) return "imports this package by its own name";
  if (name === "koffi") return folder === "os" ? undefined : "only os/ may import koffi";
  if (folder !== "cli" && folder !== "status") return "only os/, cli/ and status/ may import packages";
  return packages.dependencies.has(name) ? undefined : "is not among the dependencies";
}

function violation(found: Import, packages: Packages): string | undefined {
  const reason = found.specifier.startsWith(".") ? floorViolation(found) : packageViolation(found, packages);
  return reason === undefined ? undefined : `src/${found.file}: import of "${found.specifier}" ${reason}`;
}

/** Comments go, so that an example in a docstring is not an import; so do templates, whose text may look like anything. */
function withoutComments(source: string): string {
  const token = /"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\[^])*`|\/\*[^]*?\*\/|\/\/[^\n]*/g;
  return source.replace(token, (text) => (text.startsWith('"') || text.startsWith("'") ? text : " "));
}

/** The specifiers of `import`, `export … from`, `import()` and `require()`, for values and for types. */
function specifiersOf(source: string): string[] {
  const code = withoutComments(source);
  const statement = /\b(?:import|export)\b[^;"'`()=]*?\bfrom\s*["']([^"']+)["']/g;
  const bare = /\bimport\s*["']([^"']+)["']/g;
  const call = /\b(?:import|require(?:\.resolve)?|createRequire\([^()]*\))\s*\(\s*["']([^"']+)["']/g;
  return [statement, bare, call].flatMap((pattern) => [...code.matchAll(pattern)].map((match) => match[1] ?? ""));
}

function projectRoot(): string {
  let folder = path.dirname(fileURLToPath(import.meta.url));
  while (!existsSync(path.join(folder, "package.json"))) {
    const parent = path.dirname(folder);
    assert.notEqual(parent, folder, "package.json lies above this file");
    folder = parent;
  }
  return folder;
}

const root = projectRoot();
const sourceFiles = new Map(
  readdirSync(path.join(root, "src"), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts"))
    .map((file) => [file.replaceAll(path.sep, "/"), readFileSync(path.join(root, "src", file), "utf8")]),
);

function projectPackages(): Packages {
  const manifest: unknown = JSON.parse(readFileSync(path.join(root, "package.json"), "utf8"));
  assert(typeof manifest === "object" && manifest !== null && "name" in manifest && "dependencies" in manifest);
  assert(typeof manifest.name === "string" && typeof manifest.dependencies === "object");
  return { own: manifest.name, dependencies: new Set(Object.keys(manifest.dependencies ?? {})) };
}

describe("src/", () => {
  test("imports go down, or stay within a folder; packages come in only where allowed", () => {
    const packages = projectPackages();
    const imports = [...sourceFiles].flatMap(([file, source]) =>
      specifiersOf(source).map((specifier) => ({ file, specifier })),
    );
    assert(imports.length > 0, "imports were found at all");
    const violations = imports.map((found) => violation(found, packages)).filter((reason) => reason !== undefined);
    assert.deepEqual(violations, []);
  });

  test("each folder has a floor", () => {
    assert.deepEqual(
      [...sourceFiles.keys()].filter((file) => floorOf(file) === undefined),
      [],
    );
  });

  test(`no file is longer than ${FILE_LINES_MAX} lines`, () => {
    const tooLong = [...sourceFiles]
      .map(([file, source]) => ({ file, lines: linesOf(source) }))
      .filter(({ lines }) => lines > FILE_LINES_MAX);
    assert.deepEqual(tooLong, []);
  });
});

function linesOf(source: string): number {
  return source.split("\n").length - (source.endsWith("\n") ? 1 : 0);
}

describe("the check itself", () => {
  const packages: Packages = { own: "jumbo", dependencies: new Set(["commander"]) };

  const bad: readonly (readonly [file: string, specifier: string, reason: RegExp])[] = [
    ["errors.ts", "./pool/pool.ts", /goes up/],
    ["errors.ts", "./index.ts", /goes up/],
    ["memory/arena.ts", "../pool/page.ts", /goes up/],
    ["memory/arena.ts", "../os/libc.ts", /goes sideways/],
    ["pool/pool.ts", "../index.ts", /goes up/],
    ["pool/pool.ts", "../sys/index.ts", /goes up/],
    ["pool/pool.ts", "./../mbuf/chain.ts", /goes up/],
    ["index.ts", "./sys/index.ts", /goes up/],
    ["sys/index.ts", "../mbuf/mbuf.ts", /goes sideways/],
    ["mbuf/mbuf.ts", "../delivery/flip.ts", /goes up/],
    ["udp/socket.ts", "../tcp/listener.ts", /goes sideways/],
    ["tcp/receive.ts", "../delivery/relay.ts", /goes up/],
    ["tcp/engines/onread.ts", "../../dgram/index.ts", /goes up/],
    ["cli/main.ts", "../status/server.ts", /goes sideways/],
    ["cli/main.ts", "../../test/support/peer.ts", /leaves src/],
    ["pool/pool.ts", "../nowhere/file.ts", /no floor is known for nowhere/],
    ["nowhere/file.ts", "../errors.ts", /no floor is known for nowhere/],
    ["pool/pool.ts", "koffi", /only os\/ may import koffi/],
    ["cli/main.ts", "koffi", /only os\/ may import koffi/],
    ["tcp/listener.ts", "commander", /only os\/, cli\/ and status\/ may import packages/],
    ["os/libc.ts", "commander", /only os\/, cli\/ and status\/ may import packages/],
    ["pool/pool.ts", "fs", /may import packages/],
    ["cli/main.ts", "mitata", /is not among the dependencies/],
    ["cli/main.ts", "@scope/name/file.js", /is not among the dependencies/],
    ["cli/main.ts", "jumbo/sys", /by its own name/],
  ];
  for (const [file, specifier, reason] of bad) {
    test(`refuses "${specifier}" in ${file}`, () =>
      assert.match(violation({ file, specifier }, packages) ?? "", reason));
  }

  const good: readonly (readonly [file: string, specifier: string])[] = [
    ["errors.ts", "./invariant.ts"],
    ["memory/arena.ts", "../errors.ts"],
    ["memory/arena.ts", "./layout.ts"],
    ["pool/pool.ts", "../os/libc.ts"],
    ["index.ts", "./pool/pool.ts"],
    ["index.ts", "./errors.ts"],
    ["tcp/engines/onread.ts", "../listener.ts"],
    ["cli/main.ts", "../index.ts"],
    ["status/server.ts", "../pool/pool.ts"],
    ["pool/pool.ts", "node:events"],
    ["os/libc.ts", "koffi"],
    ["cli/main.ts", "commander"],
  ];
  for (const [file, specifier] of good) {
    test(`allows "${specifier}" in ${file}`, () => assert.equal(violation({ file, specifier }, packages), undefined));
  }

  test("finds imports of every form, and none in comments and templates", () => {
    const source = [
      'import a from "./1.ts";',
      'import type { B } from "./2.ts";',
      "import {\n  c, // it's a comment\n  d,\n} from './3.ts';",
      'import "./4.ts";',
      'export * from "./5.ts";',
      'export type { E } from "./6.ts";',
      'const f = await import("./7.ts");',
      'type G = import("./8.ts").G;',
      'const h = require("./9.ts");',
      'const i = createRequire(import.meta.url)("./10.ts");',
      'export const j = "text"; import k, * as l from "./11.ts";',
      '/** import x from "./bad.ts"; */',
      '// import x from "./bad.ts";',
      'const m = `import x from "./bad.ts";`;',
      'const url = "https://example.org"; import n from "./12.ts";',
    ].join("\n");
    const expected = Array.from({ length: 12 }, (_, index) => `./${index + 1}.ts`);
    assert.deepEqual(new Set(specifiersOf(source)), new Set(expected));
  });

  test("counts lines as an editor does", () => {
    assert.equal(linesOf("a\nb\n"), 2);
    assert.equal(linesOf("a\nb"), 2);
  });
});

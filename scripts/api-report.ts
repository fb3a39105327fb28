/**
 * Compares the public API of each entry point with the reviewed report of it under api/.
 *
 *     node dist/scripts/api-report.js             exits 1 when a report is missing or differs
 *     node dist/scripts/api-report.js --update    writes the reports
 *
 * The entry points are those of package.json's `exports` that carry types, so a new one is covered without a change here.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { Extractor, ExtractorConfig, ExtractorLogLevel, type ExtractorMessage } from "@microsoft/api-extractor";

type EntryPoint = { readonly name: string; readonly types: string };

const root = fileURLToPath(new URL("../..", import.meta.url));
const reportFolder = path.join(root, "api");
const isUpdate = process.argv.includes("--update");

/** `./sys` becomes `sys`; `.` takes the package's name. */
function entryPoints(): EntryPoint[] {
  const manifest = JSON.parse(readFileSync(path.join(root, "package.json"), "utf8")) as {
    name: string;
    exports: Record<string, string | { types: string }>;
  };
  return Object.entries(manifest.exports).flatMap(([subpath, target]) => {
    if (typeof target === "string") return [];
    const name = subpath === "." ? manifest.name : subpath.slice(2).replaceAll("/", "-");
    return [{ name, types: path.join(root, target.types) }];
  });
}

/**
 * The compiler options for reading declarations. API Extractor brings its own TypeScript, older than the one that wrote
 * them, so it is given only what reading needs.
 */
const tsconfig = {
  compilerOptions: {
    target: "es2022",
    lib: ["es2023", "es2024.sharedmemory", "esnext.disposable"],
    types: ["node"],
    module: "nodenext",
    moduleResolution: "nodenext",
    strict: true,
    skipLibCheck: true,
  },
  include: ["dist/src"],
};

function extractorConfig({ name, types }: EntryPoint): ExtractorConfig {
  return ExtractorConfig.prepare({
    configObject: {
      projectFolder: root,
      mainEntryPointFilePath: types,
      newlineKind: "lf",
      compiler: { overrideTsconfig: tsconfig },
      apiReport: {
        enabled: true,
        reportFileName: `${name}.api.md`,
        reportFolder,
        reportTempFolder: path.join(root, "temp"),
      },
      docModel: { enabled: false },
      dtsRollup: { enabled: false },
      tsdocMetadata: { enabled: false },
      messages: {
        compilerMessageReporting: { default: { logLevel: ExtractorLogLevel.Error } },
        extractorMessageReporting: {
          default: { logLevel: ExtractorLogLevel.Warning, addToApiReportFile: true },
          // Everything exported is public, and TSDoc's own release tags would only repeat that.
          "ae-missing-release-tag": { logLevel: ExtractorLogLevel.None },
          // The report marks these in place; a list with line numbers would change with every edit.
          "ae-undocumented": { logLevel: ExtractorLogLevel.None },
          "ae-unresolved-link": { logLevel: ExtractorLogLevel.None }, // {@link member} is for readers and editors
        },
        tsdocMessageReporting: { default: { logLevel: ExtractorLogLevel.None } },
      },
    },
    configObjectFullPath: undefined,
    packageJsonFullPath: path.join(root, "package.json"),
  });
}

/** Says only what matters; API Extractor's own advice names commands that this project does not have. */
function quiet(message: ExtractorMessage): void {
  const isError = message.logLevel === ExtractorLogLevel.Error;
  if (isError) console.error(`api: ${message.formatMessageWithLocation(root)}`);
  message.handled = true;
}

function report(entry: EntryPoint): boolean {
  if (!existsSync(entry.types)) {
    console.error(`api: ${entry.name}: ${path.relative(root, entry.types)} does not exist`);
    return false;
  }
  const result = Extractor.invoke(extractorConfig(entry), { localBuild: isUpdate, messageCallback: quiet });
  const isStale = result.apiReportChanged && !isUpdate;
  if (isStale) {
    console.error(`api: ${entry.name} differs from api/${entry.name}.api.md; see temp/, then npm run api:update`);
  }
  return result.errorCount === 0 && !isStale;
}

/** Reports of entry points that are gone. */
function strayReports(entries: readonly EntryPoint[]): string[] {
  const expected = new Set(entries.map((entry) => `${entry.name}.api.md`));
  return readdirSync(reportFolder).filter((file) => file.endsWith(".api.md") && !expected.has(file));
}

mkdirSync(reportFolder, { recursive: true });
const entries = entryPoints();
const failed = entries.filter((entry) => !report(entry));
const stray = strayReports(entries);
for (const file of stray) {
  if (isUpdate) rmSync(path.join(reportFolder, file));
  else console.error(`api: api/${file} belongs to no entry point`);
}
const isGood = failed.length === 0 && (isUpdate || stray.length === 0);
if (isGood) console.log(`api: ${entries.length} reports ${isUpdate ? "written" : "agree"}`);
process.exitCode = isGood ? 0 : 1;

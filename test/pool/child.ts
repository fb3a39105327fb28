import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { promisify } from "node:util";

const execute = promisify(execFile);

/**
 * Runs `script`, an ES module that finds the pool as `JumboPool` and prints one JSON value, in a process of its own with
 * `environment` added to this one's. For what is decided once for a process.
 */
export async function inChild(
  script: string,
  environment: Record<string, string>,
): Promise<{ value: unknown; stderr: string }> {
  const entry = new URL("../../src/index.js", import.meta.url).href;
  const program = `import { JumboPool } from ${JSON.stringify(entry)};\n${script}`;
  const argv = ["--expose-gc", "--input-type=module", "--eval", program];
  const { stdout, stderr } = await execute(process.execPath, argv, {
    env: { ...process.env, ...environment },
    timeout: 60_000,
  });
  assert.notEqual(stdout, "", `the child printed nothing; stderr: ${stderr}`);
  return { value: JSON.parse(stdout), stderr };
}

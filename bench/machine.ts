/**
 * What the figures were measured on. No host names, user names or paths: results are published.
 */
import { execFileSync } from "node:child_process";
import os from "node:os";
import process from "node:process";

export type Machine = {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly kernel: string;
  readonly node: string;
  readonly v8: string;
  readonly uv: string;
  /** First line of `cc --version`; null without a compiler. */
  readonly cCompiler: string | null;
};

export function describeMachine(): Machine {
  const cpus = os.cpus();
  return {
    cpu: cpus[0]?.model.trim() ?? "unknown",
    cores: cpus.length,
    memoryGiB: Math.round((os.totalmem() / 2 ** 30) * 10) / 10,
    kernel: `${os.type()} ${os.release()} ${process.arch}`,
    node: process.versions.node,
    v8: process.versions.v8,
    uv: process.versions.uv,
    cCompiler: compilerVersion(),
  };
}

export function nodeMajor(): number {
  return Number.parseInt(process.versions.node, 10);
}

/** The header of a run, and the last line of a picture. */
export function machineLine(machine: Machine): string {
  const { node, v8, uv, cpu, cores, memoryGiB, kernel, cCompiler } = machine;
  const versions = `Node ${node} (V8 ${v8}, uv ${uv})`;
  return [versions, cpu, `${cores} cores`, `${memoryGiB} GiB`, kernel, cCompiler ?? "no C compiler"].join(" · ");
}

function compilerVersion(): string | null {
  try {
    const text = execFileSync("cc", ["--version"], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
    return text.split("\n")[0]?.trim() ?? null;
  } catch {
    return null;
  }
}

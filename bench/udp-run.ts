/**
 * One measurement of receiving UDP: a receiver that prints its port, and a sender that is told it.
 *
 *     receiver process ──port──▶ bench ──port──▶ sender process ──127.0.0.1──▶ receiver process       both fresh for each run
 */
import { spawn } from "node:child_process";
import type { ChildProcessByStdio } from "node:child_process";
import process from "node:process";
import type { Readable } from "node:stream";
import { compileC } from "./compile-c.ts";
import type { Figures } from "./figures.ts";
import { compiledFile } from "./repository.ts";

export type UdpLoad = {
  readonly mode: "plain" | "gso";
  readonly count: number;
  readonly datagramBytes: number;
  /** 0: as fast as possible. */
  readonly datagramsPerSecond: number;
};

export type Command = { readonly command: string; readonly args: readonly string[] };

const RUN_MS_MAX = 120_000;

/** One sender, one receiver. The receiver ends by itself at the first end marker. */
export async function runUdp(load: UdpLoad, receiver: Command): Promise<Figures> {
  const receiving = new Program(receiver);
  try {
    const port = await receiving.firstLine;
    const sending = new Program(senderOf(load, port));
    try {
      const received = await Promise.race([receiving.ended, sending.failed]);
      // A line of our own making: printFigures, or a printf in bench/c.
      const figures = JSON.parse(received.trim().split("\n").at(-1) ?? "") as Figures;
      return { ...figures, ...ratesOf(figures, load.count) };
    } finally {
      sending.kill();
    }
  } finally {
    receiving.kill();
  }
}

function senderOf(load: UdpLoad, port: string): Command {
  const args = [port, load.mode, load.count, load.datagramBytes, load.datagramsPerSecond].map(String);
  const { program } = compileC("udp-sender");
  return program === null
    ? { command: process.execPath, args: [compiledFile("udp-sender.js"), ...args] }
    : { command: program, args };
}

function ratesOf(figures: Figures, sent: number): Figures {
  const { datagrams = 0, seconds = 0, userSeconds = 0, systemSeconds = 0 } = figures;
  const cpuSeconds = userSeconds + systemSeconds;
  return {
    sent,
    kiloPerSecond: datagrams / seconds / 1e3,
    wallUs: (seconds * 1e6) / datagrams,
    lossPercent: (1 - datagrams / sent) * 100,
    userUs: (userSeconds * 1e6) / datagrams,
    systemUs: (systemSeconds * 1e6) / datagrams,
    cpuUs: (cpuSeconds * 1e6) / datagrams,
    kiloPerCpuSecond: datagrams / cpuSeconds / 1e3,
  };
}

/** A child process with what it prints. */
class Program {
  readonly firstLine: Promise<string>;
  /** All it printed; rejects when it ended otherwise than well. */
  readonly ended: Promise<string>;
  /** Rejects as `ended` does, and never resolves. */
  readonly failed: Promise<never>;
  readonly #child: ChildProcessByStdio<null, Readable, null>;

  constructor({ command, args }: Command) {
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "inherit"], timeout: RUN_MS_MAX });
    let text = "";
    this.#child = child;
    this.ended = new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (code, signal) => {
        if (code === 0) resolve(text);
        else reject(new Error(`${command} ${args.join(" ")} ended with ${String(code ?? signal)}`));
      });
    });
    this.failed = new Promise((_, reject) => void this.ended.catch(reject));
    const line = new Promise<string>((resolve) => {
      child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
        text += chunk;
        if (text.includes("\n")) resolve(text.slice(0, text.indexOf("\n")));
      });
    });
    this.firstLine = Promise.race([line, this.failed]);
    // Whoever waits for one of them gets the error; the others are not unhandled for that.
    for (const promise of [this.ended, this.failed, this.firstLine]) promise.catch(() => {});
  }

  kill(): void {
    this.#child.kill();
  }
}

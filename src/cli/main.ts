#!/usr/bin/env node
import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import { ENGINES } from "./engines.ts";
import { Failure, describeError, usageFailure } from "./failure.ts";
import { RECV_HELP, PROGRAM_HELP } from "./help.ts";
import { FRAMING_DEFAULT, FRAMING_NAMES } from "./framing.ts";
import { recv } from "./recv.ts";
import type { RecvOptions } from "./recv-options.ts";
import { RELAY_HELP, relayCommand } from "./relay.ts";
import { RELAY_ENGINES } from "./relay-options.ts";
import type { RelayCommandOptions } from "./relay-options.ts";
import { didYouMean } from "./suggestion.ts";
import { tour } from "./tour.ts";
import { VERSION } from "./version.ts";

const DURATION_SECONDS_MAX = 2_147_483; // setTimeout's limit
const PAGE_SIZES = [4096, 16_384, 65_536];

/** The command line; `finish` is given the exit code of what was run. */
function makeProgram(finish: (exitCode: number) => void): Command {
  const program = new Command("jumbo")
    .description("Receives into a pool of page-sized buffers. Without a command: a demonstration on loopback.")
    .version(VERSION)
    .helpCommand("help [command]", "the help of a command")
    .addHelpText("after", PROGRAM_HELP)
    .allowExcessArguments()
    .configureOutput({ writeOut: printOut, outputError: () => {} }) // main() prints errors
    .exitOverride(usageOf("jumbo"));
  program.action(async () => {
    const [unknown] = program.args;
    if (unknown !== undefined) throw unknownCommand(program, unknown);
    finish(await tour());
  });
  addRecv(program, finish);
  addRelay(program, finish);
  return program;
}

function addRecv(program: Command, finish: (exitCode: number) => void): void {
  program
    .command("recv")
    .summary("receive connections and datagrams")
    .description(
      "Receives what is sent over connections, or in datagrams, into pages; writes it from the pages, or only counts it.",
    )
    .argument("<url...>", "where: tcp://host:port, tls://host:port, unix:///path, udp://host:port; any number of them")
    .option(
      "-o, --output <file>",
      "where to write: a file, - for standard output, or FOLDER/ for a file per connection",
    )
    .addOption(new Option("--page-size <bytes>", PAGE_SIZES.join(", ")).default(65_536).argParser(pageSize))
    .option("--pages <number>", "the most pages to use (default: 64 MiB of them)", wholeNumber)
    .option(
      "--framing <name>",
      `for udp://, how datagrams are written: ${FRAMING_NAMES.join(", ")} (default: "${FRAMING_DEFAULT}")`,
    )
    .option("--once", "end when the first connection has ended, or with the first datagram")
    .option("--duration <seconds>", "end after so many seconds", duration)
    .option("--json", "report as one JSON object on standard output, not as text on standard error")
    .option("--engine <name>", `how bytes get into pages: ${ENGINES.join(", ")}`, "auto")
    .option("--gro", "for udp://, let the kernel hand over many datagrams as one (default: where it can)")
    .option("--no-gro", "for udp://, do not")
    .option("--cert <file>", "for tls://, the certificate (PEM)")
    .option("--key <file>", "for tls://, its key (PEM)")
    .addHelpText("after", RECV_HELP)
    .exitOverride(usageOf("jumbo recv"))
    .action(async (urls: string[], options: RecvOptions) => finish(await recv(urls, options)));
}

function addRelay(program: Command, finish: (exitCode: number) => void): void {
  program
    .command("relay")
    .summary("pass connections on")
    .description("A proxy: passes on what it receives at <from> to <to>, and back, without a copy in this process.")
    .argument("<from>", "where to listen: tcp://host:port, tls://host:port, unix:///path")
    .argument("<to>", "where to connect to: the same")
    .addOption(new Option("--page-size <bytes>", PAGE_SIZES.join(", ")).default(65_536).argParser(pageSize))
    .option("--pages <number>", "the most pages to use (default: 64 MiB of them)", wholeNumber)
    .option("--duration <seconds>", "end after so many seconds", duration)
    .option("--json", "report as one JSON object on standard output, not as text on standard error")
    .option("--engine <name>", `how bytes get from socket to socket: ${RELAY_ENGINES.join(", ")}`, "auto")
    .option("--cert <file>", "for listening on tls://, the certificate (PEM)")
    .option("--key <file>", "for listening on tls://, its key (PEM)")
    .option(
      "--cacert <file>",
      "for connecting to tls://, who may have signed its certificate (PEM), instead of the usual",
    )
    .option("--servername <name>", "for connecting to tls://, the name to ask for and to check (default: the host)")
    .option("-k, --insecure", "for connecting to tls://, take any certificate: anybody may be in between")
    .addHelpText("after", RELAY_HELP)
    .exitOverride(usageOf("jumbo relay"))
    .action(async (from: string, to: string, options: RelayCommandOptions) =>
      finish(await relayCommand(from, to, options)),
    );
}

function unknownCommand(program: Command, word: string): Failure {
  const names = program.commands.map((command) => command.name());
  const isUrl = word.includes("://") || /^\S*:\d+$/.test(word);
  const hint = isUrl ? ` (did you mean jumbo recv ${word}?)` : didYouMean(word, names);
  return usageFailure(`there is no command ${word}${hint}; jumbo --help lists them`);
}

function wholeNumber(text: string): number {
  if (!/^[0-9]{1,15}$/.test(text)) throw new InvalidArgumentError("It must be a whole number.");
  return Number(text);
}

function pageSize(text: string): number {
  const bytes = wholeNumber(text);
  if (!PAGE_SIZES.includes(bytes)) throw new InvalidArgumentError(`It must be ${PAGE_SIZES.join(", ")}.`);
  return bytes;
}

function duration(text: string): number {
  const seconds = /^[0-9]+(\.[0-9]+)?$/.test(text) ? Number(text) : 0;
  if (seconds > 0 && seconds <= DURATION_SECONDS_MAX) return seconds;
  throw new InvalidArgumentError(`It must be a number of seconds, more than 0 and at most ${DURATION_SECONDS_MAX}.`);
}

/** Help may be cut short by `| head`. */
function printOut(text: string): void {
  process.stdout.on("error", () => {});
  process.stdout.write(text);
}

/** Makes one line of ours of what commander found wrong in the arguments of `command`. */
function usageOf(command: string): (error: CommanderError) => never {
  return (error) => {
    if (error.exitCode === 0) throw error; // --help and --version have printed what they have to
    const text = error.message
      .replace(/^error: /, "")
      .replaceAll("\n", " ")
      .replace(/\.$/, "");
    throw usageFailure(`${text}; see ${command} --help`);
  };
}

async function main(): Promise<void> {
  const program = makeProgram((exitCode) => (process.exitCode = exitCode));
  try {
    await program.parseAsync();
  } catch (error) {
    if (error instanceof CommanderError) return; // --help, --version
    process.stderr.write(`${describeError(error)}\n`);
    process.exitCode = error instanceof Failure ? error.exitCode : 1;
  }
}

await main();

/**
 * Collects syslog messages, RFC 5424 and RFC 3164, and counts them; `--json` prints each as a line of JSON.
 *
 *     node dist/examples/syslog-collector.js --port 5514
 *     logger --server 127.0.0.1 --port 5514 --udp --priority daemon.warning "disk is 91% full"
 *
 * A message is looked at where the kernel has put it, and gone with its batch. Only the latest few are kept, as copies: keeping them in place
 * would be free of copying too, but each would pin its page. Ctrl-C ends it with a summary, which shows that nothing is held.
 */
import { once } from "node:events";
import { parseArgs } from "node:util";
import { JumboPool } from "jumbo";
import { bindUdp } from "jumbo/udp";

const SEVERITIES = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"] as const;
const FACILITIES = (
  "kern user mail daemon auth syslog lpr news uucp cron authpriv ftp ntp audit alert clock " +
  "local0 local1 local2 local3 local4 local5 local6 local7"
).split(" ");
/** What a message without a valid priority counts as: user.notice (RFC 3164, section 4.3.3). */
const PRIORITY_DEFAULT = 13;
const PRIORITY_MAX = 191;
const ENDS_OF_LINES: ReadonlySet<number> = new Set([0, 10, 13]);
/** Of a kept message. */
const KEPT_BYTES_MAX = 1024;

//                <PRI>1 TIMESTAMP HOST APP PROCID MSGID  structured data, or -                         MSG
const RFC_5424 = /^1 (\S+) (\S+) (\S+) (\S+) (\S+) (-|(?:\[(?:[^\]"]|"(?:[^"\\]|\\.)*")*\])+)(?: \uFEFF?(.*))?$/s;
//                <PRI>Nov 23 05:27:52 HOST               TAG          [PID]         : MSG
const RFC_3164 = /^([A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d) (\S+) ([^\s:[]{1,48})(?:\[([^\]\s]*)\])?: ?(.*)$/s;

/** The number in `<165>` at the start, looked at byte by byte: counting a message decodes no text. */
function priorityOf(bytes: Buffer): { readonly priority: number; readonly end: number } {
  let priority = 0;
  for (let at = 1; bytes[0] === 0x3c && at <= 4; at++) {
    const byte = bytes[at] ?? 0;
    if (byte === 0x3e && at > 1 && priority <= PRIORITY_MAX) return { priority, end: at + 1 };
    if (byte < 0x30 || byte > 0x39) break;
    priority = priority * 10 + byte - 0x30;
  }
  return { priority: PRIORITY_DEFAULT, end: 0 };
}

/** Before the ends of lines, and zeros, that some senders put behind a message. */
function endOfText(bytes: Buffer): number {
  let end = bytes.length;
  while (end > 0 && ENDS_OF_LINES.has(bytes[end - 1]!)) end--;
  return end;
}

const severityOf = (priority: number): string => SEVERITIES[priority % 8] ?? "";
const facilityOf = (priority: number): string => FACILITIES[priority >> 3] ?? "";

/** Anything is a message: what follows neither RFC is text. */
function parse(bytes: Buffer): Record<string, string> {
  const { priority, end } = priorityOf(bytes);
  const rest = bytes.toString("utf8", end, endOfText(bytes));
  const level = { facility: facilityOf(priority), severity: severityOf(priority) };
  const [, time, host, app, pid, id, data, text] = RFC_5424.exec(rest) ?? [];
  if (time !== undefined) return given({ ...level, time, host, app, pid, id, data, text: text ?? "" });
  const [, when, from, tag, process, message] = RFC_3164.exec(rest) ?? [];
  if (when !== undefined) return given({ ...level, time: when, host: from, app: tag, pid: process, text: message });
  return { ...level, text: rest };
}

/** Without what is not there: `-` in RFC 5424. */
function given(fields: Record<string, string | undefined>): Record<string, string> {
  const entries = Object.entries(fields).filter(
    ([name, value]) => value !== undefined && (value !== "-" || name === "text"),
  );
  return Object.fromEntries(entries) as Record<string, string>; // undefined has been left out
}

/** The latest messages, in memory of their own: at most `max`, each cut at 1 KiB. */
class Latest {
  readonly #max: number;
  readonly #ring: Buffer[] = [];
  #count = 0;

  constructor(max: number) {
    this.#max = max;
  }

  add(bytes: Buffer): void {
    if (this.#max > 0) this.#ring[this.#count++ % this.#max] = bytes;
  }

  /** The oldest first. */
  *[Symbol.iterator](): Generator<Buffer> {
    const start = Math.max(0, this.#count - this.#max);
    for (let each = start; each < this.#count; each++) yield this.#ring[each % this.#max]!;
  }
}

const { values } = parseArgs({
  options: {
    port: { type: "string", default: "5514" },
    address: { type: "string", default: "127.0.0.1" },
    keep: { type: "string", default: "5" },
    json: { type: "boolean", default: false },
  },
});
const counts = new Map<number, number>();
const latest = new Latest(Number(values.keep));
const pool = new JumboPool({ pageSizeBytes: 65_536, pagesMax: 128 });
const receiver = await bindUdp({ pool, port: Number(values.port), address: values.address });
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => void receiver.close());
process.stderr.write(`listening on udp://${values.address}:${receiver.address().port}\n`);

for await (const batch of receiver) {
  let lines = "";
  for (const datagram of batch) {
    const { priority } = priorityOf(datagram.bytes);
    counts.set(priority, (counts.get(priority) ?? 0) + 1);
    latest.add(
      datagram.length > KEPT_BYTES_MAX ? Buffer.from(datagram.bytes.subarray(0, KEPT_BYTES_MAX)) : datagram.copy(),
    );
    if (values.json) lines += `${JSON.stringify({ from: datagram.address, ...parse(datagram.bytes) })}\n`;
  }
  // While nobody reads our output, nothing more is received: the kernel keeps what it has room for.
  if (lines !== "" && !process.stdout.write(lines)) await once(process.stdout, "drain");
}

const { datagrams, batches, kernelDrops, held } = receiver.stats();
const say = (text: string): boolean => process.stderr.write(`${text}\n`);
say(`\n${datagrams} messages in ${batches} batches, ${kernelDrops} dropped by the kernel`);
for (const [priority, count] of [...counts].sort(([first], [second]) => first - second))
  say(`${String(count).padStart(9)}  ${facilityOf(priority)}.${severityOf(priority)}`);
for (const bytes of latest) say(`     last  ${parse(bytes)["text"]}`);
say(`held: ${held.datagrams} datagrams, ${held.pages} pages; in use: ${pool.stats().inUse} pages`);

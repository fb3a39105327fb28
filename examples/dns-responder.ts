/**
 * A DNS server for one small zone: A, AAAA and TXT records, and NXDOMAIN for every other name.
 *
 *     node dist/examples/dns-responder.js --port 5353
 *     dig @127.0.0.1 -p 5353 www.jumbo.test AAAA
 *
 * Queries are looked at where the kernel has put them, and all that one read brings are answered with one system call. What is no query
 * gets no answer, so that two of these servers that are told to talk to each other fall silent.
 */
import { parseArgs } from "node:util";
import { JumboPool } from "jumbo";
import { bindUdp } from "jumbo/udp";
import type { OutgoingDatagram, UdpBatch } from "jumbo/udp";

type Answer = { readonly type: number; readonly data: Buffer };
/** What a query asks; `name` as it is on the wire, in small letters, `end` behind the question. */
type Question = { readonly name: string; readonly type: number; readonly class: number; readonly end: number };

const ZONE: ReadonlyMap<string, readonly Answer[]> = new Map([
  [
    onWire("jumbo.test"),
    [a("192.0.2.1"), aaaa("2001:db8::1"), txt("page-sized disposable buffers", "received in place")],
  ],
  [onWire("www.jumbo.test"), [a("192.0.2.80"), a("192.0.2.81"), aaaa("2001:db8::80")]],
  [onWire("page.jumbo.test"), [txt("4096", "16384", "65536")]],
]);

// RFC 1035, sections 3.2 and 4.1.
const HEADER_BYTES = 12;
const LABEL_BYTES_MAX = 63;
const NAME_BYTES_MAX = 255;
const IS_REPLY = 0x8000;
const IS_AUTHORITATIVE = 0x0400;
const OPCODE = 0x7800;
const RECURSION_DESIRED = 0x0100;
const NO_ERROR = 0;
const FORMAT_ERROR = 1;
const NO_SUCH_NAME = 3;
const NOT_IMPLEMENTED = 4;
const REFUSED = 5;
const INTERNET = 1;
/** Type and class. */
const ANY = 255;
/** "The name is the one at byte 12": the question's. */
const NAME_OF_QUESTION = 0xc000 | HEADER_BYTES;
const TTL_SECONDS = 60;

function onWire(name: string): string {
  const labels = name.split(".").map((label) => String.fromCodePoint(label.length) + label);
  return `${labels.join("")}\0`;
}

function a(address: string): Answer {
  return { type: 1, data: Buffer.from(address.split(".").map(Number)) };
}

function aaaa(address: string): Answer {
  const [head = [], tail = []] = address.split("::").map((side) => side.split(":").filter(Boolean));
  const groups = [...head, ...Array<string>(8 - head.length - tail.length).fill("0"), ...tail];
  return { type: 28, data: Buffer.from(groups.map((group) => group.padStart(4, "0")).join(""), "hex") };
}

function txt(...texts: string[]): Answer {
  return { type: 16, data: Buffer.concat(texts.map((text) => Buffer.from(String.fromCodePoint(text.length) + text))) };
}

/** The reply to `query`; null when it deserves none. Whatever it holds, nothing outside of it is read. */
function replyTo(query: Buffer): Buffer | null {
  if (query.length < HEADER_BYTES || (query.readUInt16BE(2) & IS_REPLY) !== 0) return null;
  if ((query.readUInt16BE(2) & OPCODE) !== 0) return reply(query, HEADER_BYTES, NOT_IMPLEMENTED);
  const question = questionOf(query);
  if (question === null) return reply(query, HEADER_BYTES, FORMAT_ERROR);
  const { name, type, end } = question;
  if (question.class !== INTERNET && question.class !== ANY) return reply(query, end, REFUSED);
  const answers = ZONE.get(name);
  if (answers === undefined) return reply(query, end, NO_SUCH_NAME);
  return reply(
    query,
    end,
    NO_ERROR,
    answers.filter((answer) => type === answer.type || type === ANY),
  );
}

function questionOf(query: Buffer): Question | null {
  if (query.readUInt16BE(4) !== 1) return null; // nobody asks two
  let end = HEADER_BYTES;
  for (let length = query[end]; length !== 0; length = query[end]) {
    if (length === undefined || length > LABEL_BYTES_MAX) return null; // it breaks off, or points elsewhere
    end += 1 + length;
  }
  end++;
  if (end - HEADER_BYTES > NAME_BYTES_MAX || end + 4 > query.length) return null;
  const name = query.toString("latin1", HEADER_BYTES, end).toLowerCase(); // lengths are no letters: they stay as they are
  return { name, type: query.readUInt16BE(end), class: query.readUInt16BE(end + 2), end: end + 4 };
}

/** Id and question, if it was understood, are those of the query, letter for letter. */
function reply(query: Buffer, questionEnd: number, code: number, answers: readonly Answer[] = []): Buffer {
  const head = Buffer.from(query.subarray(0, questionEnd)); // in memory of our own
  const kept = query.readUInt16BE(2) & (OPCODE | RECURSION_DESIRED);
  head.writeUInt16BE(IS_REPLY | IS_AUTHORITATIVE | kept | code, 2);
  const counts = [questionEnd > HEADER_BYTES ? 1 : 0, answers.length, 0, 0];
  for (const [index, count] of counts.entries()) head.writeUInt16BE(count, 4 + 2 * index);
  return Buffer.concat([head, ...answers.flatMap(({ type, data }) => [recordHead(type, data.length), data])]);
}

function recordHead(type: number, dataBytes: number): Buffer {
  const bytes = Buffer.alloc(12);
  for (const [index, word] of [NAME_OF_QUESTION, type, INTERNET].entries()) bytes.writeUInt16BE(word, 2 * index);
  bytes.writeUInt32BE(TTL_SECONDS, 6);
  bytes.writeUInt16BE(dataBytes, 10);
  return bytes;
}

/** One after the other, as `sendBatch` takes them. Nobody can be answered at port 0, which a forged query may come from. */
function* replies(batch: UdpBatch): Generator<OutgoingDatagram> {
  for (const { bytes, address, port } of batch) {
    const answer = port === 0 ? null : replyTo(bytes);
    if (answer !== null) yield { bytes: answer, address, port };
  }
}

const { values } = parseArgs({
  options: { port: { type: "string", default: "5353" }, address: { type: "string", default: "127.0.0.1" } },
});
const pool = new JumboPool({ pageSizeBytes: 65_536, pagesMax: 128 });
const server = await bindUdp({ pool, port: Number(values.port), address: values.address }, (batch) =>
  // Nothing more is read before the replies are out. One that cannot be sent is counted, and no reason to stop.
  server.sendBatch(replies(batch)).catch(() => {}),
);
server.on("error", ({ message }) => process.stderr.write(`${message}\n`));
process.stdout.write(`listening on udp://${values.address}:${server.address().port}\n`);

const summarize = (): void => {
  const { datagrams, reads, kernelDrops, sent } = server.stats();
  process.stdout.write(`\n${datagrams} queries in ${reads} reads, ${kernelDrops} dropped by the kernel\n`);
  process.stdout.write(`${sent.datagrams} replies in ${sent.systemCalls} system calls, ${sent.errors} failed\n`);
};
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => void server.close().then(summarize));

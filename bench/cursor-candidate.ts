/**
 * One way to read fields out of 64 KiB of records, measured in a process of its own.
 *
 *     node --expose-gc dist/bench/cursor-candidate.js NAME SEGMENT_BYTES ROUNDS ROUND_MS
 *
 * A record has 25 bytes and seven fields, of one to eight bytes and both endians; SEGMENT_BYTES 0 is all in one piece. An operation is one
 * field. Every pass adds up what it read, and the sum has to be right.
 */
import process from "node:process";
import { setImmediate as turn } from "node:timers/promises";
import { BufferList } from "bl";
import { JumboPool } from "../src/index.ts";
import { Mbuf, MbufChain } from "../src/mbuf/index.ts";
import { median } from "./alternate.ts";
import { GcMeter, peakRssMb, printFigures } from "./figures.ts";

/** Reads all records once and adds up their fields. */
type Pass = () => number;

const RECORD_BYTES = 25;
const FIELDS = 7;
const RECORDS = 2621; // 65,525 bytes
const PAGE_BYTES = 65_536;
const WARM_UP_ROUNDS = 5;

const records = Buffer.alloc(RECORDS * RECORD_BYTES);
for (let i = 0; i < RECORDS; i++) {
  let at = records.writeUInt8(i & 0xff, i * RECORD_BYTES);
  at = records.writeUInt16BE(i, at);
  at = records.writeUInt32BE(i * 77, at);
  at = records.writeUInt32LE(i * 99, at);
  at = records.writeInt16BE(-i, at);
  at = records.writeDoubleBE(i / 2, at);
  records.writeInt32LE(-i * 5, at);
}
const expected = bufferPass(records)();

/** Each candidate's loop is a function of its own, so that V8 sees one shape in it. */
const candidates: Readonly<Record<string, (segmentBytes: number) => Pass>> = {
  buffer: () => bufferPass(Buffer.from(records)),
  dataView: () => dataViewPass(new DataView(new Uint8Array(records).buffer)),
  jumbo: (segmentBytes) => {
    const chain = chainOf(pieces(segmentBytes));
    return () => readChain(chain);
  },
  jumboMade: (segmentBytes) => {
    const mbufs = pieces(segmentBytes);
    return () => {
      const chain = chainOf(mbufs);
      const sum = readChain(chain);
      chain.release();
      return sum;
    };
  },
  bl: (segmentBytes) => {
    const buffers = pieces(segmentBytes).map((mbuf) => mbuf.bytes);
    return () => readList(new BufferList(buffers));
  },
};

function bufferPass(buffer: Buffer): Pass {
  return () => {
    let sum = 0;
    for (let at = 0; at < buffer.length; at += RECORD_BYTES) {
      sum += buffer.readUInt8(at);
      sum += buffer.readUInt16BE(at + 1);
      sum += buffer.readUInt32BE(at + 3);
      sum += buffer.readUInt32LE(at + 7);
      sum += buffer.readInt16BE(at + 11);
      sum += buffer.readDoubleBE(at + 13);
      sum += buffer.readInt32LE(at + 21);
    }
    return sum;
  };
}

function dataViewPass(view: DataView): Pass {
  return () => {
    let sum = 0;
    for (let at = 0; at < view.byteLength; at += RECORD_BYTES) {
      sum += view.getUint8(at);
      sum += view.getUint16(at + 1);
      sum += view.getUint32(at + 3);
      sum += view.getUint32(at + 7, true);
      sum += view.getInt16(at + 11);
      sum += view.getFloat64(at + 13);
      sum += view.getInt32(at + 21, true);
    }
    return sum;
  };
}

function readChain(chain: MbufChain): number {
  const cursor = chain.cursor();
  let sum = 0;
  for (let left = RECORDS; left > 0; left--) {
    sum += cursor.readUInt8();
    sum += cursor.readUInt16BE();
    sum += cursor.readUInt32BE();
    sum += cursor.readUInt32LE();
    sum += cursor.readInt16BE();
    sum += cursor.readDoubleBE();
    sum += cursor.readInt32LE();
  }
  return sum;
}

/** bl finds an offset by walking from the start, so what was read is consumed, record by record. */
function readList(list: BufferList): number {
  let sum = 0;
  for (let left = RECORDS; left > 0; left--) {
    sum += list.readUInt8(0);
    sum += list.readUInt16BE(1);
    sum += list.readUInt32BE(3);
    sum += list.readUInt32LE(7);
    sum += list.readInt16BE(11);
    sum += list.readDoubleBE(13);
    sum += list.readInt32LE(21);
    list.consume(RECORD_BYTES);
  }
  return sum;
}

/** The records in mbufs of `segmentBytes`, each in a page of its own when there are few, else in pages that many share. */
function pieces(segmentBytes: number): Mbuf[] {
  const pool = new JumboPool({ pageSizeBytes: PAGE_BYTES, idleTrimMs: 0 });
  const length = segmentBytes === 0 ? records.length : segmentBytes;
  const mbufs: Mbuf[] = [];
  let page = pool.alloc();
  let offset = 0;
  for (let start = 0; start < records.length; start += length) {
    const piece = records.subarray(start, start + length);
    if (page === null || offset + piece.length > PAGE_BYTES) {
      page = pool.alloc();
      offset = 0;
    }
    if (page === null) throw new Error("the pool is empty");
    piece.copy(page.bytes, offset);
    mbufs.push(new Mbuf(page.hold(), offset, piece.length));
    offset += piece.length + 64; // not side by side: the chain would make one segment of them
  }
  return mbufs;
}

function chainOf(mbufs: readonly Mbuf[]): MbufChain {
  const chain = new MbufChain();
  for (const mbuf of mbufs) chain.append(mbuf);
  return chain;
}

function nsOf(pass: Pass, passes: number): number {
  const start = process.hrtime.bigint();
  for (let i = 0; i < passes; i++) if (pass() !== expected) throw new Error("the sum is wrong");
  return Number(process.hrtime.bigint() - start);
}

async function measure(pass: Pass, rounds: number, roundMs: number): Promise<void> {
  const meter = new GcMeter();
  let passes = 1;
  for (let round = 0; round < WARM_UP_ROUNDS; round++) {
    passes = Math.ceil((passes * roundMs * 1e6) / nsOf(pass, passes));
    await turn();
  }
  globalThis.gc?.();
  await meter.restart();
  const operations = passes * RECORDS * FIELDS;
  const ns: number[] = [];
  const cpuBefore = process.cpuUsage();
  for (let round = 0; round < rounds; round++) {
    ns.push(nsOf(pass, passes) / operations);
    await turn();
  }
  const cpu = process.cpuUsage(cpuBefore);
  const gc = await meter.stop();
  printFigures({
    ns: median(ns),
    nsBest: Math.min(...ns),
    cpuNs: ((cpu.user + cpu.system) * 1000) / (operations * rounds),
    scavengeMsPerMillion: (gc.scavengeMs * 1e6) / (operations * rounds),
    peakRssMb: peakRssMb(),
  });
}

const [name = "", segmentBytes = "0", rounds = "45", roundMs = "20"] = process.argv.slice(2);
const pass = candidates[name]?.(Number(segmentBytes));
if (pass === undefined) throw new Error(`no candidate ${name}`);
await measure(pass, Number(rounds), Number(roundMs));

/** What is done to chains at random, and to plain Buffers in the same way, with the checks that must hold after every step. */
import assert from "node:assert/strict";
import * as fc from "fast-check";
import { MbufChain } from "../../src/mbuf/index.ts";
import type { Cursor, Mbuf } from "../../src/mbuf/index.ts";
import { withCode } from "../pool/with-code.ts";
import { CountedStorage } from "./counted-storage.ts";

type Row = { readonly chain: MbufChain; bytes: Buffer; readonly cursors: { readonly cursor: Cursor; at: number }[] };
type Loose = { readonly mbuf: Mbuf; readonly bytes: Buffer; readonly storage: CountedStorage | null };

/** The chains, the mbufs, and what each of them has to show. */
export class World {
  readonly storages: CountedStorage[] = [];
  readonly rows: Row[] = [row(new MbufChain(), Buffer.alloc(0))];
  readonly loose: Loose[] = [];
  readonly dead: MbufChain[] = [];
  readonly #makeMbuf: ((bytes: Buffer) => Mbuf) | null;
  #nextByte = 0;

  /** Mbufs lie in counted storages unless `makeMbuf` makes them. */
  constructor(makeMbuf: ((bytes: Buffer) => Mbuf) | null = null) {
    this.#makeMbuf = makeMbuf;
  }

  /** Bytes that are never the same twice in a row. */
  fresh(length: number): Buffer {
    return Buffer.from(Array.from({ length }, () => (this.#nextByte = (this.#nextByte * 5 + 17) & 0xff)));
  }

  /** An mbuf of fresh bytes, as a receiver would make it. */
  mbuf(before: number, length: number, behind: number): Loose {
    const made = this.#makeMbuf === null ? this.#counted(before, length, behind) : this.#made(length);
    this.loose.push(made);
    return made;
  }

  /** Over the whole of a new storage, or over a part of it; the storage's first hold is let go, as a receiver does. */
  #counted(before: number, length: number, behind: number): Loose {
    const storage = new CountedStorage(this.fresh(before + length + behind));
    this.storages.push(storage);
    const mbuf = storage.mbuf(before, length);
    storage.release();
    return { mbuf, bytes: Buffer.from(mbuf.bytes), storage };
  }

  #made(length: number): Loose {
    const bytes = this.fresh(length);
    assert(this.#makeMbuf !== null);
    return { mbuf: this.#makeMbuf(bytes), bytes, storage: null };
  }

  pick(choice: number): Row {
    const picked = this.rows[choice % this.rows.length];
    assert(picked !== undefined, "there is always a chain");
    return picked;
  }

  add(chain: MbufChain, bytes: Buffer): void {
    this.rows.push(row(chain, bytes));
  }

  check(): void {
    const views = this.rows.flatMap(({ chain }) => chain.segments());
    for (const view of views) assert(view.length > 0, "no segment is empty");
    for (const { chain, bytes, cursors } of this.rows) {
      assert.equal(chain.lengthBytes, bytes.length);
      assert.deepEqual(Buffer.concat(chain.segments()), bytes);
      assert.equal(chain.segmentCount, chain.segments().length);
      chain.verify();
      for (const { cursor, at } of cursors) checkCursor(cursor, at, bytes);
    }
    for (const { mbuf, bytes } of this.loose) assert.deepEqual(Buffer.from(mbuf.bytes), bytes);
    for (const storage of this.storages) {
      const shown = views.filter((view) => storage.contains(view)).length;
      const mbufs = this.loose.filter((made) => made.storage === storage).length;
      assert.equal(storage.holdCount, shown + mbufs, "a hold for each who shows it");
      assert.equal(storage.frees, storage.holdCount === 0 ? 1 : 0, "freed once, at the last release");
      storage.assertUntouchedBeside();
    }
    for (const chain of this.dead) assert.throws(() => chain.lengthBytes, withCode("ERR_JUMBO_CHAIN_RELEASED"));
  }

  end(): void {
    for (const { chain } of this.rows.splice(0)) chain.release();
    for (const { mbuf } of this.loose.splice(0)) mbuf.release();
    this.check();
  }
}

function row(chain: MbufChain, bytes: Buffer): Row {
  return { chain, bytes, cursors: [] };
}

/** A cursor keeps its place whatever comes and goes before and behind it; where its place was taken away it refuses. */
function checkCursor(cursor: Cursor, at: number, bytes: Buffer): void {
  assert.equal(cursor.offset, at);
  if (at < 0 || at > bytes.length) {
    assert.throws(() => cursor.readUInt8(), withCode("ERR_JUMBO_CHAIN_RANGE"));
    return;
  }
  assert.equal(cursor.remainingBytes, bytes.length - at);
  if (at === bytes.length) {
    assert.throws(() => cursor.readUInt8(), withCode("ERR_JUMBO_CHAIN_RANGE"));
    return;
  }
  assert.equal(cursor.readUInt8(), bytes[at]);
  assert.equal(cursor.offset, at + 1);
  cursor.seek(at);
}

export type Step = fc.Command<World, World>;

function step(name: string, run: (world: World) => void): Step {
  return {
    check: () => true,
    run: (world) => {
      run(world);
      world.check();
    },
    toString: () => name,
  };
}

const length = fc.oneof(fc.nat(3), fc.nat(40), fc.constant(300));
const at = fc.nat(1000);
const which = fc.nat(20);

const appendMbuf = fc.tuple(which, fc.nat(5), length, fc.nat(5)).map(([choice, before, size, behind]) =>
  step(`append(mbuf ${before}+${size}+${behind})`, (world) => {
    const target = world.pick(choice);
    const { mbuf, bytes } = world.mbuf(before, size, behind);
    assert.equal(target.chain.append(mbuf), target.chain);
    target.bytes = Buffer.concat([target.bytes, bytes]);
  }),
);

const prependMbuf = fc.tuple(which, which, length).map(([choice, choiceOfMbuf, size]) =>
  step(`prepend(mbuf ${choiceOfMbuf})`, (world) => {
    const target = world.pick(choice);
    const { mbuf, bytes } = world.loose[choiceOfMbuf] ?? world.mbuf(2, size, 2);
    assert.equal(target.chain.prepend(mbuf), target.chain);
    target.bytes = Buffer.concat([bytes, target.bytes]);
    for (const cursor of target.cursors) cursor.at += bytes.length;
  }),
);

const appendNeighbours = fc.tuple(which, length, length).map(([choice, size, sizeNext]) =>
  step(`append(two mbufs side by side, ${size} and ${sizeNext})`, (world) => {
    const target = world.pick(choice);
    const storage = new CountedStorage(world.fresh(3 + size + sizeNext + 3));
    world.storages.push(storage);
    const pieces = [storage.mbuf(3, size), storage.mbuf(3 + size, sizeNext)];
    storage.release();
    for (const mbuf of pieces) {
      target.chain.append(mbuf);
      target.bytes = Buffer.concat([target.bytes, mbuf.bytes]);
      mbuf.release();
    }
  }),
);

const appendBytes = fc.tuple(which, length).map(([choice, size]) =>
  step(`append(${size} bytes)`, (world) => {
    const target = world.pick(choice);
    const bytes = world.fresh(size);
    target.chain.append(bytes);
    target.bytes = Buffer.concat([target.bytes, bytes]);
    bytes.fill(0); // it was copied
  }),
);

const prependBytes = fc.tuple(which, length).map(([choice, size]) =>
  step(`prepend(${size} bytes)`, (world) => {
    const target = world.pick(choice);
    const bytes = world.fresh(size);
    const room = target.chain.leadingSpaceBytes;
    const segments = target.chain.segmentCount;
    target.chain.prepend(bytes);
    if (size > 0) assert.equal(target.chain.segmentCount, segments + (room >= size ? 0 : 1), "headroom is used");
    target.bytes = Buffer.concat([bytes, target.bytes]);
    for (const cursor of target.cursors) cursor.at += size;
    bytes.fill(0);
  }),
);

const releaseMbuf = which.map((choice) =>
  step(`mbuf.release(${choice})`, (world) => {
    const [made] = world.loose.splice(choice % Math.max(1, world.loose.length), 1);
    made?.mbuf.release();
  }),
);

const concat = fc.tuple(which, which).map(([choice, choiceOfOther]) =>
  step(`concat(${choice}, ${choiceOfOther})`, (world) => {
    const target = world.pick(choice);
    const other = world.pick(choiceOfOther);
    if (target === other) {
      assert.throws(() => target.chain.concat(other.chain), withCode("ERR_JUMBO_OPTION_INVALID"));
      return;
    }
    assert.equal(target.chain.concat(other.chain), target.chain);
    target.bytes = Buffer.concat([target.bytes, other.bytes]);
    for (const cursor of other.cursors) cursor.at -= other.bytes.length;
    other.bytes = Buffer.alloc(0);
  }),
);

const split = fc.tuple(which, at).map(([choice, where]) =>
  step(`split(${where})`, (world) => {
    const target = world.pick(choice);
    const offset = where % (target.bytes.length + 1);
    world.add(target.chain.split(offset), target.bytes.subarray(offset));
    target.bytes = target.bytes.subarray(0, offset);
  }),
);

const copyRange = fc.tuple(which, at, at).map(([choice, where, howMuch]) =>
  step(`copyRange(${where}, ${howMuch})`, (world) => {
    const { chain, bytes } = world.pick(choice);
    const offset = where % (bytes.length + 1);
    const size = howMuch % (bytes.length - offset + 1);
    world.add(chain.copyRange(offset, size), bytes.subarray(offset, offset + size));
  }),
);

const slice = fc
  .tuple(which, fc.integer({ min: -400, max: 400 }), fc.integer({ min: -400, max: 400 }))
  .map(([choice, start, end]) =>
    step(`slice(${start}, ${end})`, (world) => {
      const { chain, bytes } = world.pick(choice);
      world.add(chain.slice(start, end), bytes.subarray(start, end));
    }),
  );

const adj = fc.tuple(which, fc.integer({ min: -60, max: 60 })).map(([choice, count]) =>
  step(`adj(${count})`, (world) => {
    const target = world.pick(choice);
    assert.equal(target.chain.adj(count), target.chain);
    const trimmed = Math.min(Math.abs(count), target.bytes.length);
    if (count < 0) target.bytes = target.bytes.subarray(0, target.bytes.length - trimmed);
    else {
      target.bytes = target.bytes.subarray(trimmed);
      for (const cursor of target.cursors) cursor.at -= trimmed;
    }
  }),
);

const pullup = fc.tuple(which, at).map(([choice, where]) =>
  step(`pullup(${where})`, (world) => {
    const { chain, bytes } = world.pick(choice);
    assert.equal(chain.pullup(bytes.length + 1), null, "there are not so many bytes");
    const count = where % (bytes.length + 1);
    const pulled = chain.pullup(count);
    assert.deepEqual(pulled && Buffer.from(pulled), Buffer.from(bytes.subarray(0, count)));
    if (count > 0) assert((chain.segments()[0]?.length ?? 0) >= count, "they lie in the first segment");
  }),
);

const look = fc.tuple(which, at, at).map(([choice, where, howMuch]) =>
  step(`copyOut(${where}, ${howMuch})`, (world) => {
    const { chain, bytes } = world.pick(choice);
    const offset = where % (bytes.length + 1);
    const target = Buffer.alloc(howMuch % 500, 0xee);
    const expected = Buffer.from(target);
    assert.equal(chain.copyOut(target, offset), bytes.copy(expected, 0, offset));
    assert.deepEqual(target, expected);
    assert.deepEqual(chain.toBuffer(), Buffer.from(bytes));
    const needle = Buffer.from(bytes.subarray(offset, offset + 1 + (howMuch % 9)));
    assert.equal(chain.indexOf(needle), bytes.indexOf(needle));
    assert.equal(chain.indexOf(needle, offset), bytes.indexOf(needle, offset));
  }),
);

const equals = fc.tuple(which, which).map(([choice, choiceOfOther]) =>
  step(`equals(${choice}, ${choiceOfOther})`, (world) => {
    const one = world.pick(choice);
    const other = world.pick(choiceOfOther);
    assert.equal(one.chain.equals(other.chain), one.bytes.equals(other.bytes));
    assert.equal(one.chain.equals(other.bytes), one.bytes.equals(other.bytes));
    assert.equal(one.chain.equals(one.bytes), true);
  }),
);

const placeCursor = fc.tuple(which, at).map(([choice, where]) =>
  step(`cursor(${where})`, (world) => {
    const { chain, bytes, cursors } = world.pick(choice);
    const offset = where % (bytes.length + 1);
    if (cursors.length < 4) cursors.push({ cursor: chain.cursor(offset), at: offset });
  }),
);

const release = which.map((choice) =>
  step(`release(${choice})`, (world) => {
    const { chain, cursors } = world.pick(choice);
    world.rows.splice(choice % world.rows.length, 1);
    if (world.rows.length === 0) world.add(new MbufChain(), Buffer.alloc(0));
    chain.release();
    world.dead.push(chain);
    for (const { cursor } of cursors) {
      assert.throws(() => cursor.readUInt8(), withCode("ERR_JUMBO_CHAIN_RELEASED"));
    }
  }),
);

const grow = [appendMbuf, appendMbuf, prependMbuf, appendBytes, prependBytes];
const change = [split, split, copyRange, slice, adj, adj, pullup, concat, concat, releaseMbuf, releaseMbuf];
const anywhere = [...grow, ...grow, ...change, look, equals, placeCursor, placeCursor, release];

/** Sequences of steps; `withStorages` adds one that needs counted storages. */
export function sequences(withStorages: boolean): fc.Arbitrary<Iterable<Step>> {
  const steps = withStorages ? [...anywhere, appendNeighbours, appendNeighbours] : anywhere;
  return fc.commands(steps, { maxCommands: 60, size: "max" });
}

/** Runs `steps`, ends everything, and tells how far the run got. */
export function runSteps(world: World, steps: Iterable<Step>): { readonly segments: number; readonly room: number } {
  fc.modelRun(() => ({ model: world, real: world }), steps);
  const chains = world.rows.map(({ chain }) => chain);
  const segments = Math.max(...chains.map((chain) => chain.segmentCount));
  const room = Math.max(...chains.map((chain) => chain.leadingSpaceBytes));
  world.end();
  return { segments, room };
}

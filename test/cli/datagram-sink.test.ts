/**
 * Shows: datagrams of all lengths, from several sockets, each in one piece and in its framing, reach a sink that takes one mbuf at a
 * time and lets them wait; with both engines, and with a pool so small that there is hardly a page. An error of the socket is told, and
 * is not the end.
 */
import assert from "node:assert/strict";
import dgram from "node:dgram";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { DatagramIntake } from "../../src/cli/datagram-intake.ts";
import { DatagramSink } from "../../src/cli/datagram-sink.ts";
import { framingCalled } from "../../src/cli/framing.ts";
import type { Sink } from "../../src/cli/output.ts";
import { InvariantError, JumboPool } from "../../src/index.ts";
import type { Mbuf } from "../../src/mbuf/mbuf.ts";
import { bindUdp } from "../../src/udp/index.ts";
import type { UdpEngine } from "../../src/udp/index.ts";
import { loadUdpCalls } from "../../src/os/udp-calls.ts";
import { poolFor, until } from "../support/at-rest.ts";
import { Random } from "../support/random.ts";
import { patternPieces, randomLengths, send, sender } from "./datagrams.ts";

const HOST = "127.0.0.1";

function skipFor(engine: UdpEngine): string | false {
  const found = loadUdpCalls();
  return engine === "recvmmsg" && found.calls === null ? found.reason : false;
}

/** Holds what it is given for some turns of the event loop, and lets the giver wait at times. */
class SlowSink implements Sink {
  readonly isWaiting = false;
  readonly chunks: Buffer[] = [];
  isEnded = false;
  #isBusy = false;
  #pending = 0;
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  take(mbuf: Mbuf): Promise<void> | undefined {
    assert.equal(this.#isBusy, false, "one at a time");
    const held = mbuf.hold();
    const before = Buffer.from(held.bytes);
    const written = this.#write(held, before);
    if (this.#random.chance(0.5)) return undefined;
    this.#isBusy = true;
    return written.then(() => void (this.#isBusy = false));
  }

  async #write(held: Mbuf, before: Buffer): Promise<void> {
    this.chunks.push(before);
    this.#pending++;
    for (let turns = this.#random.int(0, 5); turns > 0; turns--) await turn();
    assert.ok(held.bytes.equals(before), "nothing is overwritten before it is let go");
    held.release();
    this.#pending--;
  }

  async end(): Promise<void> {
    await until(() => this.#pending === 0, "everything is written");
    this.isEnded = true;
  }

  ownFile(): null {
    return null;
  }
}

type Opened = { readonly intake: DatagramIntake; readonly errors: Error[]; readonly ended: Promise<string> };

async function open(
  t: TestContext,
  pool: JumboPool,
  engine: UdpEngine,
  sink: DatagramSink | null,
  claimOnce: (() => boolean) | null = null,
): Promise<Opened> {
  const errors: Error[] = [];
  let settle: (how: string) => void = () => {};
  const ended = new Promise<string>((resolve) => (settle = resolve));
  const intake = await DatagramIntake.open((options, onBatch) => bindUdp({ ...options, address: HOST }, onBatch), {
    pool,
    engine,
    gro: undefined,
    sink,
    wantsEverything: false,
    claimOnce,
    begun: Promise.resolve(),
    onBytes: () => {},
    onError: (error) => errors.push(error),
    onEnd: (_, end) => settle(end.how),
  });
  t.after(() => intake.receiver.close());
  return { intake, errors, ended };
}

for (const engine of ["recvmmsg", "dgram"] as const) {
  for (const pagesMax of [64, 3]) {
    test(`${engine}, ${pagesMax} pages: two sockets, one sink, a line each`, { skip: skipFor(engine) }, async (t) => {
      const random = new Random(pagesMax);
      const pool = poolFor(t, { pageSizeBytes: 65_536, pagesMax });
      const slow = new SlowSink(random.fork());
      const sink = new DatagramSink(pool, slow, framingCalled("lines"));
      sink.begin();
      const sockets = [await open(t, pool, engine, sink), await open(t, pool, engine, sink)] as const;
      const payloads = patternPieces(randomLengths(random, 400, 20_000)).map((piece) =>
        Buffer.from(piece.toString("hex").slice(0, piece.length)),
      );
      const from = sender(t);
      let sent = 0;
      for (const bytes of payloads) {
        const { intake } = random.pick([sockets[0], sockets[1]]);
        await send(from, bytes, intake.receiver.address().port);
        sent++;
        // Few enough are on their way for the kernel to keep them all.
        const arrived = (): number => sockets.reduce((sum, each) => sum + each.intake.counts().datagrams, 0);
        if (sent % 4 === 0)
          await until(
            () => arrived() === sent,
            () => `${arrived()} of ${sent} datagrams have come`,
          );
      }
      for (const { intake } of sockets) intake.cut();
      assert.deepEqual(await Promise.all(sockets.map(({ ended }) => ended)), ["cut", "cut"]);
      await sink.end();
      assert.equal(slow.isEnded, true);
      const lines = Buffer.concat(slow.chunks).toString("latin1").split("\n");
      assert.equal(lines.pop(), "", "the last one has its end, too");
      const byText = (a: string, b: string): number => (a < b ? -1 : 1);
      const expected = payloads.map((bytes) => bytes.toString("latin1"));
      assert.deepEqual(lines.toSorted(byText), expected.toSorted(byText), "each whole, in whichever order");
      assert.equal(sink.framingBytes, payloads.length);
      assert.deepEqual(
        sockets.flatMap(({ errors }) => errors),
        [],
      );
    });
  }

  test(`${engine}: an ICMP message is told, and the next datagram comes`, { skip: skipFor(engine) }, async (t) => {
    const pool = poolFor(t, { pageSizeBytes: 65_536, pagesMax: 16 });
    const { intake, errors, ended } = await open(t, pool, engine, null);
    const { receiver } = intake;
    const gone = dgram.createSocket("udp4");
    const gonePort = await new Promise<number>((resolve) => gone.bind(0, HOST, () => resolve(gone.address().port)));
    await new Promise<void>((resolve) => gone.close(() => resolve()));
    await new Promise<void>((resolve) => receiver.socket.connect(gonePort, HOST, resolve));
    await receiver.send(Buffer.from("is anybody there?"));
    await until(() => errors.length > 0, "the error is told");
    assert.match(String(errors[0]), /ECONNREFUSED/);
    const back = sender(t);
    await new Promise<void>((resolve) => back.bind(gonePort, HOST, resolve));
    await send(back, Buffer.from("here"), receiver.address().port);
    await until(() => intake.counts().datagrams === 1, "the datagram has come");
    intake.cut();
    assert.equal(await ended, "cut");
  });

  test(
    `${engine}: once means one, whatever came with it, also to another socket`,
    { skip: skipFor(engine) },
    async (t) => {
      const pool = poolFor(t, { pageSizeBytes: 65_536, pagesMax: 16 });
      const slow = new SlowSink(new Random(1));
      const sink = new DatagramSink(pool, slow, framingCalled("raw"));
      let isClaimed = false;
      const claim = (): boolean => !isClaimed && (isClaimed = true);
      const first = await open(t, pool, engine, sink, claim);
      const other = await open(t, pool, engine, sink, claim);
      const from = sender(t);
      for (const text of ["one", "two", "three"]) {
        await send(from, Buffer.from(text), first.intake.receiver.address().port);
        await send(from, Buffer.from(text), other.intake.receiver.address().port);
      }
      const how = await Promise.race([first, other].map(({ ended }) => ended));
      first.intake.cut();
      other.intake.cut();
      assert.deepEqual(
        [how, ...(await Promise.all([first.ended, other.ended])).toSorted()],
        ["complete", "complete", "cut"],
      );
      await sink.end();
      assert.equal(Buffer.concat(slow.chunks).toString(), "one");
      const counts = [first, other].map(({ intake }) => intake.counts());
      assert.equal(
        counts.reduce((sum, { datagrams }) => sum + datagrams, 0),
        1,
      );
      assert.equal(
        counts.reduce((sum, { bytes }) => sum + bytes, 0),
        3,
      );
    },
  );

  test(`${engine}: a sink that breaks is told, once, and ends it`, { skip: skipFor(engine) }, async (t) => {
    const pool = new JumboPool({ pageSizeBytes: 65_536, pagesMax: 16 });
    t.after(() => pool.close({ force: true })); // the command ends then: nobody lets go what was on its way
    const broken: Sink = {
      isWaiting: false,
      take: () => {
        throw new InvariantError("broken on purpose");
      },
      end: () => Promise.resolve(),
      ownFile: () => null,
    };
    const sink = new DatagramSink(pool, broken, framingCalled("raw"));
    const { intake, errors, ended } = await open(t, pool, engine, sink);
    intake.receiver.on("error", () => intake.cut()); // as the session does
    await send(sender(t), Buffer.from("x"), intake.receiver.address().port);
    await ended;
    assert.deepEqual(errors.map(String), ["InvariantError: broken on purpose"]);
  });
}

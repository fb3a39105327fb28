/**
 * Shows: a datagram that does not fit a page is cut at the page's end and says so, with its true length; its neighbours are whole, and nothing is
 * silently lost or written past a page. With both engines.
 */
import assert from "node:assert/strict";
import type { HeldDatagram } from "../../src/udp/index.ts";
import { poolFor, until } from "../support/at-rest.ts";
import { isPattern, pattern } from "../support/pattern.ts";
import { receiverOn, senderTo, withEngines } from "../support/udp.ts";

for (const pageSizeBytes of [4096, 16_384]) {
  const lengths = [pageSizeBytes - 1, pageSizeBytes, pageSizeBytes + 1, pageSizeBytes * 2, 65_507];

  withEngines(`pages of ${pageSizeBytes}: cut, and told how long it was`, async (t, engine) => {
    const pool = poolFor(t, { pageSizeBytes });
    const seen: (readonly [length: number, fullLength: number, truncated: boolean])[] = [];
    const receiver = await receiverOn(t, { pool, engine }, (batch) => {
      for (const { bytes, length, fullLength, truncated } of batch) {
        assert.equal(bytes.length, length);
        assert.ok(isPattern(bytes, seen.length), "what is there is the beginning of it");
        seen.push([length, fullLength, truncated]);
      }
    });
    const sender = await senderTo(t, receiver);
    for (const [index, length] of lengths.entries()) {
      sender.send(pattern(index, length));
      await until(() => seen.length > index, `${length} bytes arrive`);
    }
    const expected = lengths.map((length) => [Math.min(length, pageSizeBytes), length, length > pageSizeBytes]);
    assert.deepEqual(seen, expected);
    const { truncated, bytes, datagrams } = receiver.stats();
    assert.deepEqual([truncated, datagrams], [3, lengths.length]);
    assert.equal(
      bytes,
      lengths.reduce((sum, length) => sum + Math.min(length, pageSizeBytes), 0),
    ); // what was handed over
  });

  withEngines(`pages of ${pageSizeBytes}: what is beside a cut one is whole, held or not`, async (t, engine) => {
    const pool = poolFor(t, { pageSizeBytes });
    const held: HeldDatagram[] = [];
    const receiver = await receiverOn(t, { pool, engine }, (batch) => {
      for (const datagram of batch) held.push(datagram.hold());
    });
    const sender = await senderTo(t, receiver);
    const sent = [10, 20_000, 30, 4096, 2048, 20_000, 2049, 0, 20_000, 7];
    for (const [index, length] of sent.entries()) sender.send(pattern(index * 100, length));
    await until(() => held.length === sent.length, "all of them");
    for (const [index, { bytes, length, fullLength, truncated, ...rest }] of held.entries()) {
      const isCut = (sent[index] ?? 0) > pageSizeBytes;
      assert.deepEqual([length, fullLength], [isCut ? pageSizeBytes : sent[index], sent[index]]);
      assert.equal(truncated, isCut);
      assert.ok(isPattern(bytes, index * 100));
      assert.equal(rest.address, "127.0.0.1");
    }
    for (const one of held) one.release();
  });
}

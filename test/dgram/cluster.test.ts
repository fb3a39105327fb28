/** Shows: cluster workers share a bound port, each datagram comes to one of them; `exclusive` keeps a port for oneself. */
import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";
import type { Report } from "./cluster-primary.ts";
import { MODULES } from "./modules.ts";

for (const dgram of MODULES)
  test(`${dgram.name}: cluster workers`, async (t) => {
    const child = fork(new URL("./cluster-primary.js", import.meta.url), [dgram.specifier], { execArgv: [] });
    t.after(() => child.kill());
    const exit = once(child, "exit");
    const [report] = (await once(child, "message")) as [Report];
    assert.deepEqual(report, {
      sharedPorts: 1,
      sent: 100,
      received: 100,
      receivedTwice: 0,
      receivedByOther: 100,
      ownPorts: 2,
      exclusive: "EADDRINUSE",
      exitCodes: [0, 0],
    } satisfies Report);
    child.disconnect();
    assert.deepEqual(await exit, [0, null]);
  });

/**
 * What was promised for receiving TCP, beside what came out.
 */
import { medianOf, ratioTarget } from "./report.ts";
import type { Table, Target } from "./report.ts";

const RETAINED_CPU_RATIO_MAX = 0.65;
const RETAINED_GC_RATIO_MAX = 1 / 20;
const RETAINED_RSS_OVER_PAGES_MB_MAX = 60;
const MESSAGE_USER_RATIO_MAX = 0.45;

export function tcpTargets(retained: Table | undefined, messages: Table | undefined): Target[] {
  if (retained === undefined || messages === undefined) return [];
  const ratio = (table: Table, figure: string, text: string, max: number): Target =>
    ratioTarget(text, medianOf(table, "jumbo", figure), medianOf(table, "data", figure), (measured) => measured <= max);
  return [
    ratio(
      retained,
      "cpuPerGb",
      `retained: CPU per GB at most ${RETAINED_CPU_RATIO_MAX}x of data`,
      RETAINED_CPU_RATIO_MAX,
    ),
    ratio(retained, "gcMs", "retained: GC time at most 1/20 of data", RETAINED_GC_RATIO_MAX),
    rssTarget(retained),
    ratio(
      messages,
      "userUsPerMessage",
      `messages: user CPU per message at most ${MESSAGE_USER_RATIO_MAX}x of data`,
      MESSAGE_USER_RATIO_MAX,
    ),
  ];
}

/** Peak RSS against the pages that were in use at a time: beyond them there is only Node itself. */
function rssTarget(retained: Table): Target {
  const text = `retained: peak RSS at most pages in use + ${RETAINED_RSS_OVER_PAGES_MB_MAX} MB`;
  const rssMb = medianOf(retained, "jumbo", "peakRssMb");
  const pagesMb = medianOf(retained, "jumbo", "pagesPeakMb");
  if (rssMb === undefined || pagesMb === undefined) return { text, measured: "not measured", isMet: null };
  const overMb = rssMb - pagesMb;
  return {
    text,
    measured: `${rssMb.toFixed(0)} MB with ${pagesMb.toFixed(0)} MB of pages in use (+${overMb.toFixed(0)} MB)`,
    isMet: overMb <= RETAINED_RSS_OVER_PAGES_MB_MAX,
  };
}

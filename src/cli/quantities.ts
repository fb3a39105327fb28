const UNITS = ["B", "kB", "MB", "GB", "TB", "PB"] as const;

/** Bytes as a person reads them, in powers of ten: `1.07 GB`. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 ? Math.round(value) : value.toPrecision(3)} ${UNITS[unit] ?? ""}`;
}

/** Memory in powers of two, as page sizes and pools are given: `64 KiB`. */
export function formatMemory(bytes: number): string {
  if (bytes >= 2 ** 30) return `${trimZeros((bytes / 2 ** 30).toFixed(1))} GiB`;
  if (bytes >= 2 ** 20) return `${trimZeros((bytes / 2 ** 20).toFixed(1))} MiB`;
  return `${trimZeros((bytes / 1024).toFixed(1))} KiB`;
}

/** Exact, with thousands apart: `1,073,741,824`. */
export function formatCount(count: number): string {
  return count.toLocaleString("en-US");
}

/** `1 connection`, `2 connections`; `2 batches` with a plural of its own. */
export function countOf(count: number, noun: string, plural: string = `${noun}s`): string {
  return `${formatCount(count)} ${count === 1 ? noun : plural}`;
}

export function formatSeconds(seconds: number): string {
  return `${seconds.toFixed(seconds < 10 ? 2 : 1)} s`;
}

export function formatRate(bytes: number, seconds: number): string {
  return `${formatBytes(seconds > 0 ? bytes / seconds : 0)}/s`;
}

function trimZeros(text: string): string {
  return text.replace(/\.0$/, "");
}

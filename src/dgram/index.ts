/** `node:dgram`, received from in batches: a program changes one import line. */
export * from "./module.ts";
/** With the types in it, as `node:dgram`'s default import has them: `dgram.Socket`, `dgram.RemoteInfo`. */
export * as default from "./module.ts";

import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

/** A self-signed certificate for localhost, made by `openssl`; or why there is none. */
export type CertificateOrReason = { readonly key: string; readonly cert: string } | { readonly reason: string };

export function makeCertificate(): CertificateOrReason {
  const folder = mkdtempSync(path.join(tmpdir(), "jumbo-test-"));
  const keyFile = path.join(folder, "key.pem");
  const certFile = path.join(folder, "cert.pem");
  const request = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
  try {
    const names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"];
    execFileSync("openssl", [...request, ...names, "-keyout", keyFile, "-out", certFile], { stdio: "pipe" });
    return { key: readFileSync(keyFile, "utf8"), cert: readFileSync(certFile, "utf8") };
  } catch (error) {
    return { reason: `openssl cannot make a certificate here: ${String(error).split("\n", 1)[0]}` };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

// The certificate by which the host knows this process again: mutual TLS, made
// anew at every start. Node can sign but not write certificates, so the few
// lines of DER are here.
import { createSign, generateKeyPairSync, randomBytes } from "node:crypto";

const der = (tag, ...parts) => {
  const body = Buffer.concat(parts);
  const n = body.length;
  const length = n < 0x80 ? [n] : n < 0x100 ? [0x81, n] : [0x82, n >> 8, n & 0xff];
  return Buffer.concat([Buffer.from([tag, ...length]), body]);
};
const sequence = (...parts) => der(0x30, ...parts);
const oid = (...bytes) => der(0x06, Buffer.from(bytes));
const time = (at) => der(0x17, Buffer.from(at.toISOString().replace(/[-:T]|\.\d+/g, "").slice(2)));

/** Returns { key, cert } in PEM and the certificate in DER. */
export function certificate() {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const algorithm = sequence(oid(0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02)); // ecdsa-with-SHA256
  const name = sequence(der(0x31, sequence(oid(0x55, 0x04, 0x03), der(0x0c, Buffer.from("localhost")))));
  const yes = der(0x01, Buffer.from([0xff]));
  const extension = (id, critical, value) => sequence(oid(...id), ...(critical ? [yes] : []), der(0x04, value));
  const extensions = der(0xa3, sequence(
    extension([0x55, 0x1d, 0x13], true, sequence(yes)), // CA: it vouches for itself
    extension([0x55, 0x1d, 0x0f], true, der(0x03, Buffer.from([0x02, 0xac]))), // signs
    extension([0x55, 0x1d, 0x25], false, sequence(
      oid(0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x02), oid(0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01))),
    extension([0x55, 0x1d, 0x11], false, sequence(der(0x82, Buffer.from("localhost")))),
  ));
  const now = Date.now();
  const serial = randomBytes(16);
  serial[0] = (serial[0] & 0x7f) | 0x40; // positive, and of full length
  const body = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))), der(0x02, serial), algorithm, name,
    sequence(time(new Date(now - 30_000)), time(new Date(now + 20 * 365 * 86_400_000))), name,
    publicKey.export({ type: "spki", format: "der" }), extensions,
  );
  const signature = createSign("sha256").update(body).sign(privateKey);
  const raw = sequence(body, algorithm, der(0x03, Buffer.from([0]), signature));
  const pem = raw.toString("base64").match(/.{1,64}/g).join("\n");
  return {
    key: privateKey.export({ type: "pkcs8", format: "pem" }),
    cert: `-----BEGIN CERTIFICATE-----\n${pem}\n-----END CERTIFICATE-----\n`,
    raw,
  };
}

// Serves an actuator to Feddi: the handshake of go-plugin and the published
// contract. An actuator is { describe(), plan(snapshot) }.
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import grpc from "@grpc/grpc-js";
import loader from "@grpc/proto-loader";
import { certificate } from "./certificate.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const options = { keepCase: true, longs: Number, defaults: true, includeDirs: [here] };
const load = (file) => grpc.loadPackageDefinition(loader.loadSync(file, options));

/** Wraps what an author writes: one plan per snapshot, errors of one alone. */
export function methods({ describe, plan }) {
  const kinds = describe().decision_kinds;
  const one = (snapshot) => {
    try {
      if (!kinds.includes(snapshot.kind)) {
        throw Object.assign(new Error(`decision kind ${snapshot.kind} was not declared`), { code: "unsupported_kind", field: "kind" });
      }
      return { snapshot_id: snapshot.id, ...plan(snapshot) };
    } catch (e) {
      return { snapshot_id: snapshot.id, error: { code: e.code ?? "internal", message: e.message, field: e.field ?? "", retryable: false } };
    }
  };
  return {
    Describe: (_call, done) => done(null, { manifest: describe() }),
    PlanBatch: (call, done) => done(null, { plans: call.request.snapshots.map(one) }),
    Execute: (_call, done) => done(unsupported()),
  };
}

// unsupported is the typed error of a command that was not declared: the
// contract's Error as the detail of the status.
function unsupported() {
  const field = (number, text) => Buffer.concat([Buffer.from([number << 3 | 2, text.length]), Buffer.from(text)]);
  const error = Buffer.concat([field(1, "unsupported_kind"), field(2, "no commands are carried out"), field(3, "kind")]);
  const any = Buffer.concat([field(1, "type.googleapis.com/feddi.actuator.v1.Error"), Buffer.from([2 << 3 | 2, error.length]), error]);
  const status = Buffer.concat([Buffer.from([1 << 3, grpc.status.UNIMPLEMENTED]), Buffer.from([3 << 3 | 2, any.length]), any]);
  const metadata = new grpc.Metadata();
  metadata.set("grpc-status-details-bin", status);
  return { code: grpc.status.UNIMPLEMENTED, details: "no commands are carried out", metadata };
}

// The protocol versions that are spoken here; actuator.proto says what they
// mean. In 2 the host may carry out commands; this actuator declares none.
const spoken = [1, 2];

/** The newest version that the host offers and this knows; the oldest where none is. */
export function version(offered = "") {
  return Math.max(spoken[0], ...offered.split(",").map(Number).filter((v) => spoken.includes(v)));
}

/** Serves until the host ends the process. */
export function serve(actuator) {
  if (process.env.FEDDI_ACTUATOR !== "8f1f5a7c-2f0e-4d0b-9a53-3d6c4c0f6f11") {
    console.error("This is an actuator of Feddi; it is not run by hand. See: feddi actuator verify");
    process.exit(1);
  }
  const limits = { "grpc.max_receive_message_length": 32 << 20 };
  const server = new grpc.Server(limits);
  server.addService(load(join(here, "actuator.proto")).feddi.actuator.v1.Actuator.service, methods(actuator));
  server.addService(load(join(here, "health.proto")).grpc.health.v1.Health.service, {
    Check: (_call, done) => done(null, { status: 1 }),
  });
  server.addService(load(join(here, "controller.proto")).plugin.GRPCController.service, {
    Shutdown: (_call, done) => { done(null, {}); setImmediate(() => process.exit(0)); },
  });
  const own = certificate();
  const credentials = grpc.ServerCredentials.createSsl(
    Buffer.from(process.env.PLUGIN_CLIENT_CERT), [{ private_key: Buffer.from(own.key), cert_chain: Buffer.from(own.cert) }], true);
  const socket = join(process.env.PLUGIN_UNIX_SOCKET_DIR ?? mkdtempSync(join(tmpdir(), "p")), "node.sock");
  server.bindAsync(`unix:${socket}`, credentials, (e) => {
    if (e) throw e;
    const host = Number(process.env.FEDDI_ACTUATOR_PARENT ?? 0);
    if (host) setInterval(() => process.ppid === host || process.exit(1), 1000).unref();
    process.stdout.write(`1|${version(process.env.PLUGIN_PROTOCOL_VERSIONS)}|unix|${socket}|grpc|${own.raw.toString("base64").replace(/=+$/, "")}\n`);
  });
}

import assert from "node:assert/strict";
import { test } from "node:test";
import { plan } from "./punchcard.mjs";
import { certificate } from "./certificate.mjs";
import { version } from "./serve.mjs";
import { X509Certificate } from "node:crypto";

const sale = (before, now, change = {}) => ({
  id: "1", kind: "upsell", customer_id: "cus_1", currency: "USD", allowance: { max_grant_minor: 10000 },
  facts_json: Buffer.from(JSON.stringify({
    lines: [{ category: "coffee", quantity: now, total_minor: now * 450 }, { category: "bakery", quantity: 1, total_minor: 375 }],
    history: { categories: { coffee: { quantity: before } } },
  })),
  ...change,
});

test("the tenth coffee is free", () => {
  assert.equal(plan(sale(0, 1)).reasoning.summary, "1 of 10 punched: 9 more to a free coffee.");
  assert.equal(plan(sale(9, 1)).effects[0].amount_minor, 450);
  assert.equal(plan(sale(9, 12)).effects[0].amount_minor, 900);
});

test("it says no", () => {
  assert.equal(plan(sale(9, 1, { customer_id: "" })).refusal, "unidentified");
  assert.equal(plan(sale(9, 1, { allowance: null })).refusal, "not_allowed");
  assert.equal(plan(sale(9, 1, { settings_json: Buffer.from('{"category":"tea"}') })).refusal, "nothing_to_count");
  assert.throws(() => plan(sale(9, 1, { settings_json: Buffer.from("[1]") })), { code: "invalid_settings" });
});

test("the newest common protocol version", () => {
  assert.equal(version("1,2"), 2);
  assert.equal(version("3,1"), 1);
  assert.equal(version("2,3"), 2);
  assert.equal(version("9"), 1); // the host says what does not fit
  assert.equal(version(), 1);
});

test("the certificate is one", () => {
  const { raw } = certificate();
  const x = new X509Certificate(raw);
  assert.ok(x.verify(x.publicKey));
  assert.equal(x.checkHost("localhost"), "localhost");
});

// The tenth coffee is free, as plugins/examples/punchcard has it in Go.

const schema = {
  type: "object", additionalProperties: false,
  properties: {
    category: { type: "string", minLength: 1, maxLength: 60, default: "coffee" },
    every: { type: "integer", minimum: 2, maximum: 100, default: 10 },
  },
};

export function describe() {
  return {
    name: "punchcard-node", version: "1.0.0", description: "Every tenth coffee is free, in Node.",
    decision_kinds: ["upsell"], effect_kinds: ["grant.issue"], time_limit: { seconds: 1, nanos: 0 }, policy: "optional",
    settings_schema_json: Buffer.from(JSON.stringify(schema)),
  };
}

// read reads a JSON object of the snapshot; absent is empty.
function read(what, bytes) {
  if (!bytes?.length) return {};
  try {
    const value = JSON.parse(Buffer.from(bytes).toString("utf8"));
    if (value && typeof value === "object" && !Array.isArray(value)) return value;
  } catch { /* said below */ }
  throw Object.assign(new Error(`the ${what} are no JSON object`), { code: `invalid_${what}`, field: what });
}

const whole = (n) => (Number.isSafeInteger(n) && n > 0 ? n : 0);

export function plan(snapshot) {
  const { category = "coffee", every = 10 } = read("settings", snapshot.settings_json);
  const facts = read("facts", snapshot.facts_json);
  const lines = (facts.lines ?? []).filter((l) => l.category === category && whole(l.quantity));
  const now = lines.reduce((sum, l) => sum + l.quantity, 0);
  const before = whole(facts.history?.categories?.[category]?.quantity);
  const figures = { category, every, before, now };
  const card = (rule, summary) => ({ rule: `punchcard.${rule}`, summary, facts_json: Buffer.from(JSON.stringify(figures)) });
  const refuse = (word, summary) => ({ refusal: word, reasoning: card(word, summary) });

  if (!snapshot.customer_id) return refuse("unidentified", "No punch: the customer was not identified.");
  if (!now) return refuse("nothing_to_count", `No punch: no ${category} in this sale.`);
  const full = Math.floor((before + now) / every) - Math.floor(before / every);
  const missing = every - ((before + now) % every);
  if (!full) return refuse("card_not_full", `${every - missing} of ${every} punched: ${missing} more to a free ${category}.`);
  const price = Math.min(...lines.map((l) => Math.floor(whole(l.total_minor) / l.quantity)));
  const gift = Math.min(full * price, whole(snapshot.allowance?.max_grant_minor));
  if (!gift) return refuse("not_allowed", "The card is full, but there is nothing left to give.");
  return {
    effects: [{ kind: "grant.issue", class: "promo", currency: snapshot.currency, amount_minor: gift, source: "OFFER" }],
    reasoning: card("full", `The card is full: a gift for the next ${category}.`),
  };
}

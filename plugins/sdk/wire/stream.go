package wire

import (
	actuatorv1 "github.com/feddi/feddi/contracts/gen/feddi/actuator/v1"
	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/core/money"
	"github.com/feddi/feddi/plugins/sdk/internal/message"
	"google.golang.org/protobuf/proto"
)

// AppendBatch appends a batch as an encoded PlanBatchRequest: what
// PlanBatchRequest makes, without making it.
func AppendBatch(b []byte, batch []actuation.Snapshot) []byte {
	for i := range batch {
		var start int
		b, start = message.Open(b, 1)
		b = message.Close(appendSnapshot(b, &batch[i]), start)
	}
	return b
}

func appendSnapshot(b []byte, s *actuation.Snapshot) []byte {
	b = message.AppendText(b, 1, s.ID)
	b = message.AppendText(b, 2, s.Kind)
	b = message.AppendText(b, 3, s.PartnerID)
	b = message.AppendText(b, 4, s.MerchantID)
	b = message.AppendText(b, 5, s.Mode)
	b = message.AppendText(b, 6, s.CustomerID)
	b = message.AppendText(b, 7, s.SessionID)
	b = message.AppendText(b, 8, s.Currency)
	b = message.AppendTime(b, 9, s.At)
	b = message.AppendInt(b, 10, s.AmountMinor)
	b, start := message.Open(b, 11)
	b = message.AppendInt(b, 1, s.Wallet.ActualMinor)
	b = message.AppendInt(b, 2, s.Wallet.PromoAvailableMinor)
	b = message.AppendBool(b, 3, s.Wallet.Verified)
	b = message.Close(b, start)
	for i := range s.Lots {
		l := &s.Lots[i]
		b, start = message.Open(b, 12)
		b = message.AppendText(b, 1, l.GrantID)
		b = message.AppendInt(b, 2, l.RemainingMinor)
		b = message.AppendTime(b, 3, l.ExpiresAt)
		b = message.AppendTime(b, 4, l.IssuedAt)
		b = message.Close(b, start)
	}
	b = appendAllowance(b, &s.Allowance)
	b = message.AppendText(b, 14, s.Settings)
	b = message.AppendText(b, 15, s.Facts)
	b = message.AppendText(b, 16, s.Stored)
	return message.AppendTime(b, 17, s.StoredAt)
}

func appendAllowance(b []byte, a *actuation.Allowance) []byte {
	if a.MaxGrantMinor == 0 && a.MaxPoints == 0 && len(a.Sources) == 0 && len(a.Budgets) == 0 {
		return b
	}
	b, start := message.Open(b, 13)
	b = message.AppendInt(b, 1, a.MaxGrantMinor)
	b = message.AppendInt(b, 2, a.MaxPoints)
	for _, source := range a.Sources {
		b = message.AppendItem(b, 3, source)
	}
	for i := range a.Budgets {
		var inner int
		b, inner = message.Open(b, 4)
		b = message.AppendText(b, 1, a.Budgets[i].BudgetID)
		b = message.AppendInt(b, 2, a.Budgets[i].RemainingMinor)
		b = message.Close(b, inner)
	}
	return message.Close(b, start)
}

// ReadPlans reads an encoded PlanBatchResponse, as Plans reads one that is not.
// The plans share raw's bytes; want is how many there should be. Errors: raw is
// no such message.
func ReadPlans(raw []byte, want int) ([]actuation.Plan, error) {
	plans := make([]actuation.Plan, 0, want)
	r := message.Read(raw)
	for r.Next() {
		if r.Key != 1<<3|message.Bytes {
			continue
		}
		var p actuation.Plan
		if err := readPlan(r.Bytes(), &p); err != nil {
			return nil, err
		}
		plans = append(plans, p)
	}
	return plans, r.Err
}

func readPlan(raw []byte, p *actuation.Plan) error {
	r := message.Read(raw)
	for r.Next() {
		switch r.Key {
		case 1<<3 | message.Bytes:
			p.SnapshotID = r.Text()
		case 2<<3 | message.Bytes:
			if p.Effects == nil {
				p.Effects = make([]actuation.Effect, 0, 1+r.Count(r.Key))
			}
			p.Effects = append(p.Effects, actuation.Effect{})
			readEffect(&r, &p.Effects[len(p.Effects)-1])
		case 3<<3 | message.Bytes:
			readReasoning(&r, &p.Reasoning)
		case 4<<3 | message.Bytes:
			p.Refusal = r.Text()
		case 5<<3 | message.Bytes:
			return readFailed(raw, p)
		}
	}
	return r.Err
}

// readFailed reads a plan that is an error: rare, and left to the generated code.
func readFailed(raw []byte, p *actuation.Plan) error {
	var in actuatorv1.Plan
	if err := proto.Unmarshal(raw, &in); err != nil {
		return message.ErrMalformed
	}
	*p = plan(&in)
	return nil
}

func readReasoning(r *message.Reader, to *actuation.Reasoning) {
	in := r.Message()
	for in.Next() {
		switch in.Key {
		case 1<<3 | message.Bytes:
			to.Summary = in.Text()
		case 2<<3 | message.Bytes:
			to.Rule = in.Text()
		case 3<<3 | message.Bytes:
			to.Facts = in.Bytes()
		}
	}
	r.Within(&in)
}

func readEffect(r *message.Reader, to *actuation.Effect) {
	in := r.Message()
	for in.Next() {
		switch in.Key {
		case 1<<3 | message.Bytes:
			to.Kind = actuation.EffectKind(in.Text())
		case 2<<3 | message.Bytes:
			to.Class = money.Class(in.Text())
		case 3<<3 | message.Varint:
			to.AmountMinor = in.Int()
		case 4<<3 | message.Bytes:
			to.Currency = money.Currency(in.Text())
		case 5<<3 | message.Bytes:
			to.GrantID = in.Text()
		case 6<<3 | message.Bytes:
			to.Source = in.Text()
		case 7<<3 | message.Bytes:
			to.ExpiresAt = in.Time()
		case 8<<3 | message.Bytes:
			to.BudgetID = in.Text()
		case 9<<3 | message.Bytes:
			to.Data = in.Bytes()
		case 10<<3 | message.Bytes:
			to.Command = in.Text()
		}
	}
	r.Within(&in)
}

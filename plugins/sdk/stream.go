package sdk

import (
	"context"
	"errors"
	"io"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	actuatorv1 "github.com/feddi/feddi/contracts/gen/feddi/actuator/v1"
	"github.com/feddi/feddi/plugins/sdk/internal/message"
)

// maxKept bounds the memory that a stream keeps for its next answer.
const maxKept = 1 << 20

// PlanStream implements the wire contract: PlanBatch again and again.
func (s *server) PlanStream(stream actuatorv1.Actuator_PlanStreamServer) error {
	var answer []byte
	for {
		req, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if answer, err = s.planEncoded(stream.Context(), req, answer[:0]); err != nil {
			return err
		}
		if err := stream.Send(&actuatorv1.PlanStreamResponse{Call: req.GetCall(), Answer: answer}); err != nil {
			return err
		}
		if cap(answer) > maxKept {
			answer = nil
		}
	}
}

// planEncoded makes one call of a stream and appends its answer to out.
func (s *server) planEncoded(ctx context.Context, req *actuatorv1.PlanStreamRequest, out []byte) ([]byte, error) {
	batch, err := readBatch(req.GetBatch())
	if err != nil {
		return nil, status.Error(codes.Internal, "the batch cannot be read: "+err.Error())
	}
	if limit := req.GetTimeLimitUs(); limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(limit)*time.Microsecond)
		defer cancel()
	}
	answers, err := s.plan(ctx, batch)
	if err != nil {
		return nil, err
	}
	for i := range answers {
		if out, err = appendAnswer(out, &answers[i]); err != nil {
			return nil, status.Error(codes.Internal, err.Error())
		}
	}
	return out, nil
}

// appendAnswer appends one plan of an encoded PlanBatchResponse. Errors are rare
// and left to the generated code.
func appendAnswer(b []byte, a *answer) ([]byte, error) {
	b, start := message.Open(b, 1)
	if a.err == nil && a.readable() {
		return message.Close(appendPlan(b, &a.Plan), start), nil
	}
	b, err := proto.MarshalOptions{}.MarshalAppend(b, a.wire())
	if err != nil {
		return nil, err
	}
	return message.Close(b, start), nil
}

func appendPlan(b []byte, p *Plan) []byte {
	b = message.AppendText(b, 1, p.SnapshotID)
	for i := range p.Effects {
		e := &p.Effects[i]
		var start int
		b, start = message.Open(b, 2)
		b = message.AppendText(b, 1, e.Kind)
		b = message.AppendText(b, 2, e.Class)
		b = message.AppendInt(b, 3, e.AmountMinor)
		b = message.AppendText(b, 4, e.Currency)
		b = message.AppendText(b, 5, e.GrantID)
		b = message.AppendText(b, 6, e.Source)
		b = message.AppendTime(b, 7, e.ExpiresAt)
		b = message.AppendText(b, 8, e.BudgetID)
		b = message.AppendText(b, 9, e.Data)
		b = message.AppendText(b, 10, e.Command)
		b = message.Close(b, start)
	}
	b, start := message.Open(b, 3)
	b = message.AppendText(b, 1, p.Reasoning.Summary)
	b = message.AppendText(b, 2, p.Reasoning.Rule)
	b = message.AppendText(b, 3, p.Reasoning.Facts)
	b = message.Close(b, start)
	return message.AppendText(b, 4, p.Refusal)
}

// readBatch reads an encoded PlanBatchRequest, whose bytes the snapshots share.
func readBatch(raw []byte) ([]Snapshot, error) {
	r := message.Read(raw)
	batch := make([]Snapshot, 0, r.Count(1<<3|message.Bytes))
	for r.Next() {
		if r.Key != 1<<3|message.Bytes {
			continue
		}
		batch = append(batch, Snapshot{})
		if err := readSnapshot(r.Bytes(), &batch[len(batch)-1]); err != nil {
			return nil, err
		}
	}
	return batch, r.Err
}

func readSnapshot(raw []byte, s *Snapshot) error {
	r := message.Read(raw)
	for r.Next() {
		switch r.Key {
		case 1<<3 | message.Bytes:
			s.ID = r.Text()
		case 2<<3 | message.Bytes:
			s.Kind = Kind(r.Text())
		case 3<<3 | message.Bytes:
			s.PartnerID = r.Text()
		case 4<<3 | message.Bytes:
			s.MerchantID = r.Text()
		case 5<<3 | message.Bytes:
			s.Mode = r.Text()
		case 6<<3 | message.Bytes:
			s.CustomerID = r.Text()
		case 7<<3 | message.Bytes:
			s.SessionID = r.Text()
		case 8<<3 | message.Bytes:
			s.Currency = r.Text()
		case 9<<3 | message.Bytes:
			s.At = r.Time()
		case 10<<3 | message.Varint:
			s.AmountMinor = r.Int()
		case 11<<3 | message.Bytes:
			readWallet(&r, &s.Wallet)
		case 12<<3 | message.Bytes:
			if s.Lots == nil {
				s.Lots = make([]Lot, 0, 1+r.Count(r.Key))
			}
			s.Lots = append(s.Lots, readLot(&r))
		case 13<<3 | message.Bytes:
			readAllowance(&r, &s.Allowance)
		case 14<<3 | message.Bytes:
			s.Settings = r.Bytes()
		case 15<<3 | message.Bytes:
			s.Facts = r.Bytes()
		case 16<<3 | message.Bytes:
			s.Stored = r.Bytes()
		case 17<<3 | message.Bytes:
			s.StoredAt = r.Time()
		}
	}
	return r.Err
}

func readWallet(r *message.Reader, to *Wallet) {
	in := r.Message()
	for in.Next() {
		switch in.Key {
		case 1<<3 | message.Varint:
			to.ActualMinor = in.Int()
		case 2<<3 | message.Varint:
			to.PromoAvailableMinor = in.Int()
		case 3<<3 | message.Varint:
			to.Verified = in.Bool()
		}
	}
	r.Within(&in)
}

func readLot(r *message.Reader) (l Lot) {
	in := r.Message()
	for in.Next() {
		switch in.Key {
		case 1<<3 | message.Bytes:
			l.GrantID = in.Text()
		case 2<<3 | message.Varint:
			l.RemainingMinor = in.Int()
		case 3<<3 | message.Bytes:
			l.ExpiresAt = in.Time()
		case 4<<3 | message.Bytes:
			l.IssuedAt = in.Time()
		}
	}
	r.Within(&in)
	return l
}

func readAllowance(r *message.Reader, to *Allowance) {
	in := r.Message()
	for in.Next() {
		switch in.Key {
		case 1<<3 | message.Varint:
			to.MaxGrantMinor = in.Int()
		case 2<<3 | message.Varint:
			to.MaxPoints = in.Int()
		case 3<<3 | message.Bytes:
			to.Sources = append(to.Sources, in.Text())
		case 4<<3 | message.Bytes:
			to.Budgets = append(to.Budgets, readBudget(&in))
		}
	}
	r.Within(&in)
}

func readBudget(r *message.Reader) (b Budget) {
	in := r.Message()
	for in.Next() {
		switch in.Key {
		case 1<<3 | message.Bytes:
			b.BudgetID = in.Text()
		case 2<<3 | message.Varint:
			b.RemainingMinor = in.Int()
		}
	}
	r.Within(&in)
	return b
}

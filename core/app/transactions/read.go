package transactions

import (
	"context"
	"encoding/base64"
	"hash/crc32"
	"strconv"
	"strings"
	"time"

	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/tenancy"
)

// DefaultLimit is how many transactions a page has where none is asked for.
const DefaultLimit = 50

// ListInput asks for a page; empty members do not narrow it.
type ListInput struct {
	IntegrationID                               string
	IncludeUnidentified                         bool
	Status                                      string
	BranchID, TerminalID, CustomerID, SessionID string
	CreatedFrom, CreatedBefore                  *time.Time
	Limit                                       int // 1 to 200; 0 for 50
	Cursor                                      string
}

// Page is a page of transactions, latest first, without lines and offers.
type Page struct {
	Transactions []checkout.Transaction
	Next         string // empty on the last page
}

// List lists the caller's transactions; those nobody identified in are left
// out unless asked for (rule 57).
// Errors: NOT_FOUND (another integration), CURSOR_INVALID.
func (s *Service) List(ctx context.Context, call *app.Call, in ListInput) (Page, error) {
	if err := own(call, in.IntegrationID); err != nil {
		return Page{}, err
	}
	after, err := openCursor(in.Cursor)
	if err != nil {
		return Page{}, err
	}
	limit := in.Limit
	if limit == 0 {
		limit = DefaultLimit
	}
	list, err := s.UoW.Read().Checkout.Transactions(ctx, call.Tenant, checkout.Filter{
		IncludeUnidentified: in.IncludeUnidentified, Status: checkout.Status(in.Status), BranchID: in.BranchID, TerminalID: in.TerminalID, CustomerID: in.CustomerID,
		SessionID: in.SessionID, Reach: tenancy.Place{BrandID: call.Actor.BrandID, BranchID: call.Actor.BranchID},
		CreatedFrom: in.CreatedFrom, CreatedBefore: in.CreatedBefore, After: after, Limit: limit + 1,
	})
	if err != nil || len(list) <= limit {
		return Page{Transactions: list}, err
	}
	last := list[limit-1]
	return Page{Transactions: list[:limit], Next: sealCursor(checkout.Position{CreatedAt: last.CreatedAt, TransactionID: last.ID})}, nil
}

// own gives nil where an integration is the caller's.
func own(call *app.Call, integrationID string) error {
	if integrationID != call.Actor.PartnerID {
		return fault.NotFound("integration")
	}
	return nil
}

// GetInput names a transaction.
type GetInput struct{ IntegrationID, TransactionID string }

// View is a transaction with the grant of its cashback as it stands now.
type View struct {
	Transaction checkout.Transaction
	Cashback    *ledger.Grant // nil where none was granted
	// Reported is what partners reported about it; of Get only, nil where none did.
	Reported *checkout.AttributionReport
}

// Get reads a transaction whole. Errors: NOT_FOUND.
func (s *Service) Get(ctx context.Context, call *app.Call, in GetInput) (View, error) {
	if err := own(call, in.IntegrationID); err != nil {
		return View{}, err
	}
	v, err := s.view(ctx, call, in.TransactionID)
	if err != nil {
		return View{}, err
	}
	v.Reported, err = s.UoW.Read().Checkout.Report(ctx, call.Tenant, in.TransactionID)
	return v, err
}

func (s *Service) view(ctx context.Context, call *app.Call, id string) (View, error) {
	st := s.UoW.Read()
	tx, err := st.Checkout.Transaction(ctx, call.Tenant, id)
	if err != nil {
		return View{}, err
	}
	if !checkout.Within(call.Actor, tx.Place) {
		return View{}, fault.NotFound("transaction")
	}
	return Look(ctx, st, tx)
}

// Look reads the grant of a transaction's cashback.
func Look(ctx context.Context, st app.Stores, tx checkout.Transaction) (View, error) {
	v := View{Transaction: tx}
	r := tx.Ruling(actuation.KindCashback)
	if r == nil || r.GrantID == "" {
		return v, nil
	}
	g, err := st.Ledger.Grant(ctx, tx.Tenant, r.GrantID)
	if err != nil {
		return v, err
	}
	v.Cashback = &g
	return v, nil
}

// ReceiptInput names a transaction.
type ReceiptInput struct{ TransactionID string }

// ReceiptView is a receipt of record with what belongs to it.
type ReceiptView struct {
	Receipt checkout.Receipt
	View
}

// Receipt reads the receipt of record. Errors: NOT_FOUND.
func (s *Service) Receipt(ctx context.Context, call *app.Call, in ReceiptInput) (ReceiptView, error) {
	v, err := s.view(ctx, call, in.TransactionID)
	if err != nil {
		return ReceiptView{}, err
	}
	tx := v.Transaction
	m, err := s.Directory.Merchant(ctx, tx.Tenant.MerchantID)
	if err != nil {
		return ReceiptView{}, err
	}
	issuer := checkout.Issuer{MerchantID: m.ID, MerchantName: m.Name}
	if tx.BranchID != "" {
		if issuer.BranchName, err = s.UoW.Read().Checkout.BranchName(ctx, tx.Tenant, tx.BranchID); err != nil {
			return ReceiptView{}, err
		}
	}
	r := tx.Receipt(issuer)
	if v.Cashback != nil {
		r.CashbackState, r.CashbackExpiresAt = string(v.Cashback.State), v.Cashback.ExpiresAt
	}
	return ReceiptView{Receipt: r, View: v}, nil
}

// Zone is the time zone of a merchant, for what is printed; nil where its
// settings name none that is known.
func (s *Service) Zone(ctx context.Context, t tenancy.Tenant) *time.Location {
	m, err := s.Directory.Merchant(ctx, t.MerchantID)
	if err != nil {
		return nil
	}
	zone, err := time.LoadLocation(m.Settings.TimeZone)
	if err != nil {
		return nil
	}
	return zone
}

const cursorName = "transactions"

// sealCursor makes an opaque cursor of where a page ended.
func sealCursor(at checkout.Position) string {
	raw := cursorName + ":" + strconv.FormatInt(at.CreatedAt.UnixMicro(), 10) + ":" + at.TransactionID
	sum := crc32.ChecksumIEEE([]byte(raw))
	return base64.RawURLEncoding.EncodeToString(append([]byte{byte(sum >> 24), byte(sum >> 16), byte(sum >> 8), byte(sum)}, raw...))
}

// openCursor reads what sealCursor made; empty is the first page.
// Errors: CURSOR_INVALID.
func openCursor(cursor string) (checkout.Position, error) {
	if cursor == "" {
		return checkout.Position{}, nil
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err == nil && len(raw) > 4 {
		name, rest, _ := strings.Cut(string(raw[4:]), ":")
		micros, id, _ := strings.Cut(rest, ":")
		n, err := strconv.ParseInt(micros, 10, 64)
		at := checkout.Position{CreatedAt: time.UnixMicro(n).UTC(), TransactionID: id}
		if err == nil && name == cursorName && id != "" && sealCursor(at) == cursor {
			return at, nil
		}
	}
	return checkout.Position{}, fault.Field(fault.CodeCursorInvalid, "cursor", "issued_here", "the cursor was not issued for this list; leave it out to begin with the first page")
}

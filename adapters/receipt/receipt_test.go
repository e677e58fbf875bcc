package receipt_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/feddi/feddi/adapters/receipt"
	"github.com/feddi/feddi/core/checkout"
)

var update = flag.Bool("update", false, "write the golden files anew")

// sales are the receipts of the golden files.
func sales(t *testing.T) map[string]checkout.Receipt {
	t.Helper()
	doha, err := time.LoadLocation("Asia/Qatar")
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 6, 12, 8, 9, 0, 0, time.UTC)
	until := at.AddDate(0, 0, 90)
	coffee := checkout.Receipt{
		TransactionID: "txn_01ka2m9b3f6s0r8k2w4x5y7z9q", Number: "01-000042", Status: checkout.Completed, Currency: "USD",
		Issuer: checkout.Issuer{MerchantID: "mer_1", MerchantName: "Bean & Leaf", BranchName: "Harbour Street"},
		Lines: []checkout.ReceiptLine{
			{Name: "Caffe latte", SKU: "LATTE", Quantity: 2, UnitPriceMinor: 450, DiscountMinor: 100, TotalMinor: 800},
			{Name: "CROISSANT", SKU: "CROISSANT", Quantity: 1, UnitPriceMinor: 375, TotalMinor: 375},
		},
		Discounts:     []checkout.ReceiptDiscount{{Title: "50 off each latte", AmountMinor: 100, OfferID: "off_1"}},
		SubtotalMinor: 1275, DiscountMinor: 100, TotalMinor: 1175,
		Tenders:       []checkout.Paid{{Tender: checkout.Tender{Type: checkout.Wallet, AmountMinor: 1175, PaymentID: "pay_1"}, DebitedPromoMinor: 250, DebitedActualMinor: 925}},
		CashbackMinor: 58, CashbackState: "RELEASED", CashierID: "c-17", IssuedAt: at,
	}
	dinner := checkout.Receipt{
		TransactionID: "txn_01ka2m9b3f6s0r8k2w4x5y7z9r", Number: "02-000007", Status: checkout.Completed, Currency: "QAR", Zone: doha,
		Issuer: checkout.Issuer{MerchantName: "Żółta Ćma Trattoria with a name that needs two lines", Address: "12 Corniche, Doha", TaxID: "QA-4711"},
		Lines: []checkout.ReceiptLine{
			{Name: "Crème brûlée à la lavande with caramelised orange peel", SKU: "D1", Quantity: 12, UnitPriceMinor: 4250, TaxMinor: 2550, TotalMinor: 51000},
			{Name: "Борщ", SKU: "S1", Quantity: 1, UnitPriceMinor: 3900, TotalMinor: 3900},
			{Name: "Mineralwasser-Flaschenpfandrückgabesystemgebühr", SKU: "P1", Quantity: 1, UnitPriceMinor: 0, TotalMinor: 0},
		},
		Discounts:     []checkout.ReceiptDiscount{{Title: "Discount", AmountMinor: 900}},
		SubtotalMinor: 54900, DiscountMinor: 900, TaxMinor: 2550, TotalMinor: 56550,
		Tenders: []checkout.Paid{
			{Tender: checkout.Tender{Type: "card", AmountMinor: 50000, CardScheme: "visa", CardLastFour: "4242", Reference: "A-991"}},
			{Tender: checkout.Tender{Type: "cash", AmountMinor: 6550}},
		},
		CashbackMinor: 2827, CashbackState: "LOCKED", CashbackExpiresAt: &until, IssuedAt: at,
	}
	payment := checkout.Receipt{
		TransactionID: "txn_01ka2m9b3f6s0r8k2w4x5y7z9s", Number: "01-000043", Status: checkout.Voided, Currency: "JPY",
		Issuer:        checkout.Issuer{MerchantName: "珈琲店"},
		SubtotalMinor: 1175, TotalMinor: 1175, IssuedAt: at,
		Tenders: []checkout.Paid{{Tender: checkout.Tender{Type: checkout.Wallet, AmountMinor: 1175, PaymentID: "pay_1"}, DebitedActualMinor: 1175}},
	}
	return map[string]checkout.Receipt{"coffee": coffee, "dinner": dinner, "payment": payment}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasSuffix(name, ".txt") {
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	} else if !bytes.Equal(want, got) {
		t.Errorf("%s differs; look at it and run the test with -update", name)
	}
}

func TestText(t *testing.T) {
	t.Parallel()
	for name, r := range sales(t) {
		golden(t, name+".txt", receipt.Text(r))
	}
}

func TestPDF(t *testing.T) {
	t.Parallel()
	for name, r := range sales(t) {
		got, err := receipt.PDF(r)
		if err != nil {
			t.Fatal(err)
		}
		golden(t, name+".pdf", got)
	}
}

func TestNoLineIsWiderThanTheRoll(t *testing.T) {
	t.Parallel()
	r := sales(t)["dinner"]
	for _, name := range []string{strings.Repeat("x", 200), strings.Repeat("wide ", 60), "", strings.Repeat("é", 41), strings.Repeat("x", 42), strings.Repeat("x", 43)} {
		r.Lines[0].Name, r.Issuer.MerchantName, r.Discounts[0].Title = name, name, name
		r.Lines[0].Quantity, r.Lines[0].UnitPriceMinor = 1_000_000, 1_000_000
		for line := range strings.SplitSeq(string(receipt.Text(r)), "\n") {
			if n := utf8.RuneCountInString(line); n > receipt.Columns {
				t.Errorf("%d columns: %q", n, line)
			}
		}
	}
}

func TestATillGetsNoCommands(t *testing.T) {
	t.Parallel()
	r := sales(t)["coffee"]
	r.Lines[0].Name = "Latte\x1b@\x1d\x56\x00\r\n\u202egnp.exe"
	text := receipt.Text(r)
	for _, c := range text {
		if c < 0x20 && c != '\n' {
			t.Errorf("control character %#x in the text", c)
		}
	}
	if strings.Contains(string(text), "\u202e") {
		t.Error("an override of the writing direction in the text")
	}
}

func TestALongReceiptHasPages(t *testing.T) {
	t.Parallel()
	r := sales(t)["coffee"]
	r.Lines = nil
	for range checkout.MaxLines {
		r.Lines = append(r.Lines, checkout.ReceiptLine{Name: "Caffe latte", Quantity: 2, UnitPriceMinor: 450, TotalMinor: 900})
	}
	got, err := receipt.PDF(r)
	if err != nil || bytes.Count(got, []byte("/Type /Page\n")) < 2 {
		t.Errorf("pages = %d, %v", bytes.Count(got, []byte("/Type /Page\n")), err)
	}
}

// FuzzNames looks for a name that breaks a printer.
func FuzzNames(f *testing.F) {
	f.Add("Caffe latte")
	f.Add("\x00\xff\u202e\U0001F600")
	f.Fuzz(func(t *testing.T, name string) {
		r := checkout.Receipt{Currency: "USD", Issuer: checkout.Issuer{MerchantName: name}, Lines: []checkout.ReceiptLine{{Name: name, Quantity: 1}}}
		if text := receipt.Text(r); !utf8.Valid(text) {
			t.Errorf("no text: %q", text)
		}
		if _, err := receipt.PDF(r); err != nil {
			t.Error(err)
		}
	})
}

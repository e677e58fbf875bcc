package receipt

import (
	"bytes"
	_ "embed" // the fonts
	"fmt"

	"github.com/go-pdf/fpdf"

	"github.com/feddi/feddi/core/checkout"
)

// The fonts cover Latin, Greek, Cyrillic and more; a PDF takes along only the
// glyphs that it uses.
var (
	//go:embed fonts/DejaVuSansCondensed.ttf
	regular []byte
	//go:embed fonts/DejaVuSansCondensed-Bold.ttf
	bold []byte
)

const font = "DejaVu"

// The paper, in millimetres: a roll of 80, cut below the last row, and cut into
// pages where it would be longer than readers take.
const (
	paper   = 80.0
	margin  = 5.0
	room    = paper - 2*margin
	longest = 1_000.0
	step    = 4.2 // from row to row
)

// PDF prints a receipt on one page as wide as a roll. Equal receipts give equal
// bytes.
func PDF(r checkout.Receipt) ([]byte, error) {
	all := rows(r)
	measured := &sheet{pdf: newPDF(longest)}
	measured.pdf.SetAutoPageBreak(false, 0)
	measured.print(all)
	height := measured.pdf.GetY() + margin

	s := &sheet{pdf: newPDF(min(height, longest))}
	s.pdf.SetAutoPageBreak(height > longest, margin)
	s.pdf.SetTitle("Receipt "+printable(r.Number), true)
	s.pdf.SetAuthor(printable(r.Issuer.MerchantName), true)
	s.pdf.SetSubject(printable(r.TransactionID), true)
	s.pdf.SetCreationDate(r.IssuedAt)
	s.pdf.SetModificationDate(r.IssuedAt)
	s.print(all)
	var out bytes.Buffer
	if err := s.pdf.Output(&out); err != nil {
		return nil, fmt.Errorf("print receipt %s: %w", r.Number, err)
	}
	return out.Bytes(), nil
}

func newPDF(height float64) *fpdf.Fpdf {
	pdf := fpdf.NewCustom(&fpdf.InitType{UnitStr: "mm", Size: fpdf.SizeType{Wd: paper, Ht: max(height, paper+1)}})
	pdf.SetCatalogSort(true)
	pdf.SetMargins(margin, margin, margin)
	pdf.SetCellMargin(0)
	pdf.SetLang(checkout.ReceiptLocale)
	pdf.AddUTF8FontFromBytes(font, "", regular)
	pdf.AddUTF8FontFromBytes(font, "B", bold)
	pdf.AddPage()
	return pdf
}

// sheet is a page that is being printed.
type sheet struct{ pdf *fpdf.Fpdf }

func (s *sheet) print(all []row) {
	for _, r := range all {
		left, right := glyphs(r.left), glyphs(r.right)
		switch r.style {
		case rule:
			s.across(0)
		case double:
			s.across(0.7)
		case title:
			s.middle(left, "B", 12, 5.4)
		case centre:
			s.middle(left, "", 8, step)
		case strong:
			s.pair(left, right, "B", 10, 0)
		case indent:
			s.pair(left, right, "", 8, 4)
		case plain:
			s.pair(left, right, "", 9, 0)
		}
	}
}

// across draws a line, or two that are gap apart.
func (s *sheet) across(gap float64) {
	y := s.pdf.GetY() + 1.4
	s.pdf.SetLineWidth(0.15)
	s.pdf.Line(margin, y, paper-margin, y)
	if gap > 0 {
		s.pdf.Line(margin, y+gap, paper-margin, y+gap)
	}
	s.pdf.SetY(y + gap + 1.4)
}

func (s *sheet) middle(text, weight string, size, height float64) {
	s.pdf.SetFont(font, weight, size)
	for _, l := range s.lines(text, room) {
		s.pdf.CellFormat(room, height, l, "", 1, "C", false, 0, "")
	}
}

// pair sets left and right on a row; a left part that is too long goes on
// below, and the right part stands on its last row.
func (s *sheet) pair(left, right, weight string, size, inset float64) {
	s.pdf.SetFont(font, weight, size)
	width := room - inset - s.pdf.GetStringWidth(right)
	if right != "" {
		width -= 2
	}
	lines := s.lines(left, width)
	for i, l := range lines {
		s.pdf.SetX(margin + inset)
		if i < len(lines)-1 {
			s.pdf.CellFormat(width, step, l, "", 1, "L", false, 0, "")
			continue
		}
		s.pdf.CellFormat(room-inset, step, l, "", 0, "L", false, 0, "")
		s.pdf.SetX(margin)
		s.pdf.SetFont(font, weight, max(size, 9)) // figures line up, indented or not
		s.pdf.CellFormat(room, step, right, "", 1, "R", false, 0, "")
	}
}

// lines breaks text to a width in the current font.
func (s *sheet) lines(text string, width float64) []string {
	return wrapBy(text, func(line string) bool { return s.pdf.GetStringWidth(line) <= width })
}

// glyphs is s as the PDF may have it: characters outside of the basic plane,
// which the fonts do not have, are shown as a box.
func glyphs(s string) string {
	out := []rune(printable(s))
	for i, r := range out {
		if r > 0xFFFF {
			out[i] = '\u25A1'
		}
	}
	return string(out)
}

package rest

import (
	"mime"
	"strconv"
	"strings"

	"github.com/feddi/feddi/core/fault"
)

// accepted picks the media type to answer with: of those the operation has,
// the one the Accept header rates highest, the first one on a tie. Operations
// that speak JSON only answer JSON whatever is asked.
func (r *route) accepted(accept []string) (string, error) {
	if len(r.media) == 1 || len(accept) == 0 {
		return jsonType, nil
	}
	best, quality := "", 0.0
	for _, media := range r.media {
		if q := rate(accept, media); q > quality {
			best, quality = media, q
		}
	}
	if best == "" {
		return "", fault.Field(fault.CodeValidationFailed, "Accept", "offered", "this operation answers as one of: %s", strings.Join(r.media, ", "))
	}
	return best, nil
}

// rate is the quality that an Accept header gives to media: that of its most
// specific range, 0 where none covers it.
func rate(accept []string, media string) float64 {
	quality, specific := 0.0, -1
	for _, line := range accept {
		for part := range strings.SplitSeq(line, ",") {
			name, params, err := mime.ParseMediaType(part)
			if err != nil {
				continue
			}
			s := specificity(name, media)
			if s <= specific {
				continue
			}
			specific, quality = s, 1
			if text, ok := params["q"]; ok {
				q, err := strconv.ParseFloat(text, 64)
				if err != nil || q < 0 || q > 1 {
					q = 0
				}
				quality = q
			}
		}
	}
	return quality
}

// specificity says how closely a media range covers media: -1 not at all.
func specificity(span, media string) int {
	kind, _, _ := strings.Cut(media, "/")
	switch span {
	case media:
		return 2
	case kind + "/*":
		return 1
	case "*/*":
		return 0
	}
	return -1
}

package identity

import (
	"strings"

	"github.com/feddi/feddi/core/fault"
)

// ReceiptBy is the channel that a receipt goes by: the one asked for, else the
// one that the customer chose. The customer must have agreed to receipts there
// and not have switched the channel off.
// Errors: STATE_CONFLICT where there is no channel, CONSENT_REQUIRED.
func (p Preferences) ReceiptBy(asked string, acts ConsentActs) (string, error) {
	channel := asked
	if channel == "" {
		channel = p.ReceiptChannel
	}
	if channel == "" {
		return "", fault.Field(fault.CodeStateConflict, "channel", "receipt_channel",
			"the customer has chosen no channel for receipts; name one that the customer agreed to")
	}
	if err := acts.Require(ForReceipts, channel, "channel"); err != nil {
		return "", err
	}
	if on, said := p.Channels[channel]; said && !on {
		return "", fault.Field(fault.CodeConsentRequired, "channel", "channel_enabled",
			"the customer has switched messages by %s off; only the customer switches them on again", channel)
	}
	return channel, nil
}

// ReachedBy is where the customer is reached by a channel: a proven phone, an
// e-mail address, or the customer's id for whoever pushes to the wallet app.
// Errors: STATE_CONFLICT where that is not known, or not proven to be theirs.
func (c Customer) ReachedBy(channel string) (string, error) {
	switch {
	case channel == "push":
		return c.ID, nil
	case channel == "email" && c.Email == "":
		return "", fault.Field(fault.CodeStateConflict, "channel", "email_known", "the customer has given no e-mail address; use another channel")
	case channel == "email":
		return c.Email, nil
	case c.State != Verified || c.Phone == "":
		return "", fault.Field(fault.CodeStateConflict, "channel", "phone_verified",
			"the customer's phone is not proven: what they bought could reach somebody else; have it verified, or print the receipt")
	}
	return c.Phone, nil
}

// MaskDestination hides where a message goes: of an e-mail address the first
// letter and the domain show.
func MaskDestination(channel, to string) string {
	switch channel {
	case "push":
		return maskMiddle(to)
	case "email":
		name, domain, ok := strings.Cut(to, "@")
		if !ok || name == "" {
			return maskMiddle(to)
		}
		first := string([]rune(name)[:1])
		return first + strings.Repeat("*", max(len([]rune(name))-1, 1)) + "@" + domain
	}
	return MaskPhone(to)
}

package system

import (
	"log/slog"

	"github.com/feddi/feddi/adapters/messages"
	"github.com/feddi/feddi/core/clock"
	"github.com/feddi/feddi/core/identity"
	"github.com/feddi/feddi/core/tenancy"
)

// SMS say how messages reach customers' phones.
type SMS struct {
	SMSURL    string `name:"sms-url" env:"FEDDI_SMS_URL" help:"Your SMS gateway: takes a signed JSON POST for each message." placeholder:"URL"`
	SMSSecret string `name:"sms-secret" env:"FEDDI_SMS_SECRET" help:"Signs those posts (whsec_...)." placeholder:"SECRET"`
	VerifyURL string `name:"verify-url" env:"FEDDI_VERIFY_URL" help:"The page that takes the token of an enrolment link; {token} stands for it." placeholder:"URL"`
}

// sender delivers messages, and has what ends it.
type sender struct {
	identity.Sender
	identity.Courier
	close func()
}

// newSender chooses who delivers messages: nobody in the sandbox, where answers
// show the codes; the operator's gateway in production.
func newSender(mode tenancy.Mode, o SMS, c clock.Clock, log *slog.Logger) (sender, error) {
	switch {
	case mode == tenancy.Sandbox:
		s := &messages.Sandbox{}
		return sender{Sender: s, Courier: s}, nil
	case o.SMSURL == "":
		s := messages.Unset{Log: log}
		return sender{Sender: s, Courier: s}, nil
	}
	g, err := messages.NewGateway(messages.GatewayConfig{URL: o.SMSURL, Secret: o.SMSSecret, LinkURL: o.VerifyURL, Clock: c, Log: log})
	if err != nil {
		return sender{}, err
	}
	return sender{g, g, g.Close}, nil
}

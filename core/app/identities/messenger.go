package identities

import (
	"context"

	"github.com/feddi/feddi/core/identity"
	"github.com/feddi/feddi/core/tenancy"
)

// SendPaymentCode sends the one-time code of a payment to the customer's
// phone, naming the amount. Errors: NOT_FOUND, SUBSYSTEM_DEGRADED.
func (m *Messenger) SendPaymentCode(ctx context.Context, t tenancy.Tenant, customerID, code string, amountMinor int64, currency string) error {
	c, err := m.Identities.UoW.Read().Identity.Customer(ctx, t, customerID)
	if err != nil {
		return err
	}
	if err := c.Usable(); err != nil {
		return err
	}
	merchant, err := m.Identities.Directory.Merchant(ctx, t.MerchantID)
	if err != nil {
		return err
	}
	return m.Sender.Send(ctx, identity.Message{
		ID: m.Identities.IDs.Make("msg"), Kind: identity.MessagePayment, Tenant: t, MerchantName: merchant.Name, To: c.Phone,
		Code: code, Locale: c.Locale, AmountMinor: amountMinor, Currency: currency,
		ExpiresAt: m.Identities.Clock.Now().Add(identity.ProofTTL),
	})
}

// Messenger writes to customers whom other modules know by id only.
type Messenger struct {
	Identities *Service
	Sender     identity.Sender
}

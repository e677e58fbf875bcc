package tenancy

import (
	"slices"
	"strings"
)

// DefaultSettings are those of a new merchant in one currency: cashback of 5 %
// that never expires, released on verification, codes of 10 minutes and
// sessions of an hour.
func DefaultSettings(currency string) Settings {
	return Settings{
		Currencies:        []string{currency},
		TimeZone:          "UTC",
		Country:           "US",
		ClaimGate:         GateOnVerification,
		CashbackBP:        500,
		CodeTTLMinutes:    10,
		SessionTTLMinutes: 60,
		RefundGraceDays:   7,
		CredentialTypes:   CredentialTypes(),
	}
}

// CredentialTypes are the credential types that a merchant can enable.
func CredentialTypes() []string {
	return []string{"phone", "card_fingerprint", "short_code", "provider_customer_id", "qr"}
}

// currencies are the ISO 4217 codes of money in circulation.
const currencies = ` AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD
 CAD CDF CHF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD
 HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL
 MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD
 RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD
 UYU UZS VES VND VUV WST XAF XCD XOF XPF YER ZAR ZMW ZWG `

// Currencies are the currencies that a merchant can enable, as ISO 4217 codes
// in alphabetical order.
func Currencies() []string { return strings.Fields(currencies) }

// KnownCurrency reports whether a merchant can enable code.
func KnownCurrency(code string) bool { return slices.Contains(strings.Fields(currencies), code) }

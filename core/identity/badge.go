package identity

import "time"

// Badge is a label for the cashier, derived from the purchase history.
type Badge string

// The badges.
const (
	BadgeNew       Badge = "new"       // no purchase yet
	BadgeReturning Badge = "returning" // 1 to 9 purchases
	BadgeRegular   Badge = "regular"   // 10 to 49
	BadgeVIP       Badge = "vip"       // 50 and more
	BadgeLapsed    Badge = "lapsed"    // bought before, but not for 90 days
)

// Thresholds of the badges.
const (
	regularFrom = 10
	vipFrom     = 50
	lapsedAfter = 90 * 24 * time.Hour
)

// Lifetime is what a customer did at this merchant since the first visit.
// Amounts in minor units of Currency.
type Lifetime struct {
	Transactions        int64 // completed ones
	SpentMinor          int64 // sum of their totals, whatever the tender
	DiscountMinor       int64 // what offers took off
	CashbackEarnedMinor int64 // cashback ever granted
	Currency            string
	FirstAt, LastAt     *time.Time
}

// Badge derives the label at now. A lapsed customer is lapsed however often
// they came: that is what the cashier should know.
func (l Lifetime) Badge(now time.Time) Badge {
	switch {
	case l.Transactions == 0:
		return BadgeNew
	case l.LastAt != nil && now.Sub(*l.LastAt) > lapsedAfter:
		return BadgeLapsed
	case l.Transactions >= vipFrom:
		return BadgeVIP
	case l.Transactions >= regularFrom:
		return BadgeRegular
	}
	return BadgeReturning
}

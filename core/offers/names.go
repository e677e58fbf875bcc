package offers

// The names that a definition may use, in the order of their bits in the
// engine. Never changed.
var (
	// DayNames are the weekdays, as in time.Weekday.
	DayNames = [...]string{"sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"}
	// ChannelNames are the channels of a session.
	ChannelNames = [...]string{"in_store", "kiosk", "drive_through", "curbside", "delivery", "online", "phone"}
	// KindNames are the kinds of offer.
	KindNames = [...]string{string(ItemDiscount), string(BasketDiscount), string(FreeItem), string(Cashback), string(Points), string(Upsell)}
	// StateNames are the customer states.
	StateNames = [...]string{Anonymous, "PENDING_PROOF", "VERIFIED"}
)

package webhooks

// RouteStatement is what Route reads by.
const RouteStatement = route

// Command externaloffers is an actuator for Feddi: gifts that a merchant's own
// HTTP service decides on, without a sale ever waiting for that service.
//
// Every few minutes Execute fetches the offers from the service and answers with
// them as facts; Feddi stores them, and Plan finds them in its snapshot.
package main

import "github.com/feddi/feddi/plugins/sdk"

func main() { sdk.Serve(externaloffers{client: sdk.HTTPClient()}) }

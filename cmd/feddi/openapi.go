package main

import (
	"github.com/feddi/feddi/adapters/api"
)

type openapiCommand struct{}

// Run prints the document of the whole contract, planned operations included;
// GET /openapi shows what a server really mounts.
func (openapiCommand) Run(t *terminal) error {
	document, err := api.FullDocument()
	if err != nil {
		return err
	}
	_, err = t.out.Write(document)
	return err
}

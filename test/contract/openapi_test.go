// Package contract_test holds what is published to its word: the OpenAPI
// document, its examples and the catalogue of operations.
package contract_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/pb33f/libopenapi"
	"github.com/pb33f/libopenapi-validator/schema_validation"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/feddi/feddi/adapters/api"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing them")

const golden = "../../contracts/openapi/feddi.partner.v1.json"

func document(t *testing.T) []byte {
	t.Helper()
	d, err := api.FullDocument()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// The committed document is the reviewed one: whoever changes the contract
// sees here what partners will see.
func TestOpenAPIGolden(t *testing.T) {
	t.Parallel()
	got := document(t)
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(got, want) {
		return
	}
	g, w := strings.Split(string(got), "\n"), strings.Split(string(want), "\n")
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			t.Fatalf("the contract and %s differ from line %d:\n got %s\nwant %s\nreview the change, then: go test ./test/contract -run Golden -update", golden, i+1, g[i], w[i])
		}
	}
	t.Fatalf("the contract gives %d lines, %s has %d", len(g), golden, len(w))
}

// The document is valid OpenAPI 3.1, by its schema and by a parser that
// resolves every reference.
func TestOpenAPIIsValid(t *testing.T) {
	t.Parallel()
	doc, err := libopenapi.NewDocument(document(t))
	if err != nil {
		t.Fatal(err)
	}
	model, err := doc.BuildV3Model()
	if err != nil {
		t.Fatal(err)
	}
	if model.Model.Version != "3.1.0" {
		t.Errorf("version %s", model.Model.Version)
	}
	if ok, problems := schema_validation.ValidateOpenAPIDocument(doc); !ok {
		for _, p := range problems {
			t.Error(p.Message, p.Reason)
			for _, s := range p.SchemaValidationErrors {
				t.Error(s.Location, s.Reason)
			}
		}
	}
}

// Every example fits the schema it stands under: requests and answers, of
// callable and planned operations alike.
func TestExamplesFitTheirSchemas(t *testing.T) {
	t.Parallel()
	raw := document(t)
	tree, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("openapi.json", tree); err != nil {
		t.Fatal(err)
	}
	checked := 0
	check := func(id, what string, media map[string]any) {
		example, there := media["example"]
		if !there {
			return
		}
		ref, described := media["schema"].(map[string]any)["$ref"].(string)
		if !described { // a body in the caller's own form
			return
		}
		schema, err := c.Compile("openapi.json" + ref)
		if err != nil {
			t.Errorf("%s: %v", ref, err)
			return
		}
		checked++
		if err := schema.Validate(example); err != nil {
			t.Errorf("%s: its example %s breaks the schema: %v", id, what, err)
		}
	}
	eachOperation(t, raw, func(_, _ string, op map[string]any) {
		id := op["operationId"].(string)
		if body, ok := op["requestBody"].(map[string]any); ok {
			check(id, "request", body["content"].(map[string]any)["application/json"].(map[string]any))
		}
		for status, res := range op["responses"].(map[string]any) {
			if content, ok := res.(map[string]any)["content"].(map[string]any); ok {
				check(id, status, content["application/json"].(map[string]any))
			}
		}
		if op["x-maturity"] != "planned" && op["operationId"] != "getOpenApiSpec" {
			requireExamples(t, id, op)
		}
	})
	if checked < 100 {
		t.Errorf("only %d examples", checked)
	}
	failures, err := c.Compile("openapi.json#/components/schemas/ErrorEnvelope")
	if err != nil {
		t.Fatal(err)
	}
	examples := tree.(map[string]any)["components"].(map[string]any)["examples"].(map[string]any)
	for code, example := range examples {
		value := example.(map[string]any)["value"].(map[string]any)
		if err := failures.Validate(value); err != nil || value["error"].(map[string]any)["code"] != code {
			t.Errorf("the example of %s breaks the schema: %v", code, err)
		}
	}
	if len(examples) < 40 {
		t.Errorf("only %d failures have an example", len(examples))
	}
}

func requireExamples(t *testing.T, id string, op map[string]any) {
	t.Helper()
	text, _ := json.Marshal(op)
	want := 1
	if op["requestBody"] != nil {
		want = 2
	}
	if got := strings.Count(string(text), `"example":`); got < want {
		t.Errorf("%s is callable and has %d examples, want %d", id, got, want)
	}
}

func eachOperation(t *testing.T, raw []byte, visit func(path, method string, op map[string]any)) {
	t.Helper()
	tree, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw)) // keeps numbers exact
	if err != nil {
		t.Fatal(err)
	}
	for path, item := range tree.(map[string]any)["paths"].(map[string]any) {
		for method, op := range item.(map[string]any) {
			visit(path, method, op.(map[string]any))
		}
	}
}

// operations.csv is the published catalogue: 125 operations with their paths,
// credentials and idempotency.
func TestCatalogueIsThePublishedOne(t *testing.T) {
	t.Parallel()
	f, err := os.Open("testdata/operations.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	c, err := api.Catalogue()
	if err != nil {
		t.Fatal(err)
	}
	if len(c.All) != len(rows)-1 {
		t.Errorf("%d operations, want %d", len(c.All), len(rows)-1)
	}
	for _, row := range rows[1:] {
		domain, id, method, path, auth, idempotent := row[0], row[1], row[2], row[3], row[4], row[5]
		o := c.ID(id)
		if o == nil {
			t.Errorf("%s is missing", id)
			continue
		}
		if o.Domain() != domain || o.Method != method || o.PublicPath() != path || o.Needs() != auth || o.Options.GetIdempotent() != (idempotent == "yes") {
			t.Errorf("%s: %s %s %s %s %v, want %v", id, o.Domain(), o.Method, o.PublicPath(), o.Needs(), o.Options.GetIdempotent(), row)
		}
	}
}

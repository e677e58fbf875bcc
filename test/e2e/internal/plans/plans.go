// Package plans reads the query plans that Postgres's auto_explain writes into
// the server's log, and finds those that read a growing table whole.
package plans

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Settings make a database log the plan of every statement that is run on it,
// and let the planner read a table whole only where no index can serve: joins
// look their rows up, as they must once the tables are large.
var Settings = []string{
	"session_preload_libraries = 'auto_explain'", "auto_explain.log_min_duration = 0", "auto_explain.log_format = 'json'",
	"auto_explain.log_nested_statements = on", "enable_seqscan = off", "enable_mergejoin = off", "enable_hashjoin = off",
}

// Statement is a statement with the plan of one of its runs.
type Statement struct {
	Text string `json:"Query Text"`
	Plan node   `json:"Plan"`
}

type node struct {
	Type      string `json:"Node Type"`
	Relation  string `json:"Relation Name"`
	Index     string `json:"Index Name"`
	Condition string `json:"Index Cond"`
	Filter    string `json:"Filter"`
	Plans     []node `json:"Plans"`
}

var plan = regexp.MustCompile(`LOG:  duration: [0-9.]+ ms  plan:$`)

// Read finds the plans in a log: each stands below its line, every line of it
// behind a tab.
func Read(log []byte) ([]Statement, error) {
	var out []Statement
	var text *bytes.Buffer
	end := func() error {
		if text == nil {
			return nil
		}
		var s Statement
		if err := json.Unmarshal(text.Bytes(), &s); err != nil {
			return fmt.Errorf("%w\n%s", err, text)
		}
		text, out = nil, append(out, s)
		return nil
	}
	lines := bufio.NewScanner(bytes.NewReader(log))
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		line, inside := strings.CutPrefix(lines.Text(), "\t")
		switch {
		case inside && text != nil:
			text.WriteString(line + "\n")
			continue
		case text != nil:
			if err := end(); err != nil {
				return nil, err
			}
		}
		if plan.MatchString(lines.Text()) {
			text = &bytes.Buffer{}
		}
	}
	if lines.Err() != nil {
		return nil, lines.Err()
	}
	if text != nil && json.Valid(text.Bytes()) { // the last one may be half written
		return out, end()
	}
	return out, nil
}

// Whole finds the statements that read one of the tables whole, by the table or
// by an index without a condition. A partial index without a condition is fine:
// it is a queue, whose rows leave it.
func Whole(statements []Statement, grows func(table string) bool, partial map[string]bool) []string {
	found := map[string]string{}
	for _, s := range statements {
		walk(s.Plan, "", func(n node, relation string) {
			scan := n.Type == "Seq Scan" || strings.Contains(n.Type, "Index") && n.Condition == "" && !partial[n.Index]
			if scan && grows(relation) {
				found[s.Text] = fmt.Sprintf("%s of %s by %q (filter %s):\n%s", n.Type, relation, n.Index, n.Filter, s.Text)
			}
		})
	}
	return slices.Sorted(maps.Values(found))
}

// walk visits the nodes; a bitmap's index stands below the node with the table.
func walk(n node, relation string, visit func(n node, relation string)) {
	if n.Relation != "" {
		relation = n.Relation
	}
	visit(n, relation)
	for _, below := range n.Plans {
		walk(below, relation, visit)
	}
}

// Texts are the statements' texts, each once.
func Texts(statements []Statement) []string {
	seen := map[string]bool{}
	for _, s := range statements {
		seen[s.Text] = true
	}
	return slices.Sorted(maps.Keys(seen))
}

package plans_test

import (
	"strings"
	"testing"

	"github.com/feddi/feddi/test/e2e/internal/plans"
)

const log = `2026-06-01 08:00:00.000 UTC [1] feddi LOG:  duration: 0.010 ms  plan:
	{
	  "Query Text": "select * from grows where a = $1",
	  "Plan": {"Node Type": "Limit", "Plans": [{"Node Type": "Seq Scan", "Relation Name": "grows", "Filter": "(a = 1)"}]}
	}
2026-06-01 08:00:00.000 UTC [1] feddi WARNING:  something else
2026-06-01 08:00:00.001 UTC [1] feddi LOG:  duration: 0.010 ms  plan:
	{
	  "Query Text": "select b from grows order by b",
	  "Plan": {"Node Type": "Bitmap Heap Scan", "Relation Name": "grows", "Plans": [{"Node Type": "Bitmap Index Scan", "Index Name": "grows_b"}]}
	}
2026-06-01 08:00:00.002 UTC [1] feddi LOG:  duration: 0.010 ms  plan:
	{
	  "Query Text": "select 1 from grows where b = 1",
	  "Plan": {"Node Type": "Index Scan", "Relation Name": "grows", "Index Name": "grows_b", "Index Cond": "(b = 1)"}
	}
2026-06-01 08:00:00.003 UTC [1] feddi LOG:  duration: 0.010 ms  plan:
	{
	  "Query Text": "select due from grows",
	  "Plan": {"Node Type": "Index Scan", "Relation Name": "grows", "Index Name": "grows_due"}
	}
2026-06-01 08:00:00.004 UTC [1] feddi LOG:  duration: 0.010 ms  plan:
	{
	  "Query Text": "select * from small",
	  "Plan": {"Node Type": "Seq Scan", "Relation Name": "small"}
	}
2026-06-01 08:00:00.005 UTC [1] feddi LOG:  duration: 0.010 ms  plan:
	{
	  "Query Text": "half wr`

func TestWholeReadsAreFound(t *testing.T) {
	t.Parallel()
	all, err := plans.Read([]byte(log))
	if err != nil || len(plans.Texts(all)) != 5 {
		t.Fatalf("%d statements, %v", len(all), err)
	}
	found := plans.Whole(all, func(table string) bool { return table == "grows" }, map[string]bool{"grows_due": true})
	if len(found) != 2 || !strings.Contains(found[0], "grows_b") || !strings.Contains(found[1], "a = $1") {
		t.Errorf("found %q", found)
	}
}

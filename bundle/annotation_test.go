package bundle

import "testing"

func TestCheckAnnotation(t *testing.T) {
	for name, test := range map[string]struct {
		key, value string
		ok         bool
	}{
		"a version":          {"org.opencontainers.image.version", "1.4", true},
		"any text":           {"team", "Bücher & \"Zeug\"\n", true},
		"no name":            {"", "x", false},
		"a name with spaces": {"a b", "x", false},
		"no value":           {"a", "", false},
		"goferry's own":      {"dev.goferry.sumdb", "x", false},
		"goferry itself":     {"dev.goferry", "x", false},
		"time of creation":   {"org.opencontainers.image.created", "2026-01-01T00:00:00Z", false},
		"name not UTF-8":     {"a\xff", "x", false},
		"value not UTF-8":    {"a", "x\xff", false},
	} {
		if err := CheckAnnotation(test.key, test.value); (err == nil) != test.ok {
			t.Errorf("%s: CheckAnnotation(%q, %q) = %v", name, test.key, test.value, err)
		}
	}
}

package main

import (
	"strings"
	"testing"
)

func TestRunCounts(t *testing.T) {
	tests := []struct {
		name, in, wantLast string
		wantErr            bool
	}{
		{"one of each", `{"Action":"pass","Package":"p","Test":"A"}
{"Action":"output","Package":"p","Test":"B","Output":"    b_test.go:1: no corpus\n"}
{"Action":"skip","Package":"p","Test":"B"}
{"Action":"output","Package":"p","Test":"C","Output":"    c_test.go:9: broken\n"}
{"Action":"fail","Package":"p","Test":"C"}
{"Action":"fail","Package":"p"}`, "1 passed, 1 failed, 1 skipped", true},
		{"all well", `{"Action":"pass","Package":"p","Test":"A"}
{"Action":"pass","Package":"p"}`, "1 passed, 0 failed, 0 skipped", false},
		{"nothing ran", ``, "0 passed, 0 failed, 0 skipped", true},
		{"does not build", `{"Action":"build-output","ImportPath":"q","Output":"q.go:1: syntax\n"}
{"Action":"build-fail","ImportPath":"q"}
{"Action":"pass","Package":"p","Test":"A"}`, "1 passed, 0 failed, 0 skipped", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out strings.Builder
			err := run(strings.NewReader(tt.in), &out)
			if (err != nil) != tt.wantErr {
				t.Errorf("error %v, want one: %v", err, tt.wantErr)
			}
			lines := strings.Split(strings.TrimSpace(out.String()), "\n")
			if last := lines[len(lines)-1]; last != tt.wantLast {
				t.Errorf("last line %q, want %q", last, tt.wantLast)
			}
			if strings.Contains(tt.in, "no corpus") && !strings.Contains(out.String(), "no corpus") {
				t.Error("the reason of the skip is lost")
			}
		})
	}
}

package program

import (
	"errors"
	"flag"
	"strings"
	"testing"
)

func TestExitCode(t *testing.T) {
	for _, tt := range []struct {
		err  error
		code int
		said string
	}{
		{nil, 0, ""},
		{errors.Join(flag.ErrHelp, ErrUsage), 0, ""}, // as flag sets return it
		{ErrUsage, 2, ""},
		{errors.New("no disk"), 1, "bench: no disk\n"},
	} {
		var said strings.Builder
		if code := exitCode("bench", tt.err, &said); code != tt.code || said.String() != tt.said {
			t.Errorf("%v: exit %d, said %q", tt.err, code, said.String())
		}
	}
}

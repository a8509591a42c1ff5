package excerpt_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/dunlin-mesh/dunlin/internal/excerpt"
)

func TestExcerptKeepsBothEnds(t *testing.T) {
	e := excerpt.New(20)
	for i := range 1000 {
		fmt.Fprintf(e, "%d ", i)
	}
	text := e.String()
	if !strings.HasPrefix(text, "0 1 2 3 4 [") || !strings.HasSuffix(text, "] 98 999") && !strings.HasSuffix(text, "998 999") {
		t.Errorf("kept %q", text)
	}
	short := excerpt.New(20)
	fmt.Fprint(short, "hello\n\x00world\xff")
	if short.Said() != ": hello world" {
		t.Errorf("got %q", short.Said())
	}
	if excerpt.New(20).Said() != "" {
		t.Error("something is said though nothing was written")
	}
}

package node

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/dunlin-mesh/dunlin/manifest"
)

func openRules(t *testing.T, dir string) *rules {
	t.Helper()
	r, err := loadRules(dir)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// What the operator asked for holds at once and after a restart.
func TestRules(t *testing.T) {
	dir := t.TempDir()
	r := openRules(t, dir)
	if err := errors.Join(r.follow([]string{"acme/vad", "acme/asr", "acme/vad"}), r.carry([]string{"acme/*", "zoo/bird-?"}, limitChange{})); err != nil {
		t.Fatal(err)
	}
	for _, r := range []*rules{r, openRules(t, dir)} {
		if got := r.followed(); !slices.Equal(got, []manifest.Model{"acme/asr", "acme/vad"}) {
			t.Errorf("follows %v", got)
		}
		if got := r.patterns(); !slices.Equal(got, []string{"acme/*", "zoo/bird-?"}) {
			t.Errorf("carries %v", got)
		}
		for model, want := range map[manifest.Model][2]bool{
			"acme/vad": {true, true}, "acme/tts": {false, true}, "zoo/bird-1": {false, true},
			"zoo/bird-10": {}, "zoo/vad": {}, "acme2/vad": {},
		} {
			if got := [2]bool{r.follows(model), r.carries(model)}; got != want {
				t.Errorf("%s: followed, carried = %v, want %v", model, got, want)
			}
		}
	}
	dropped, err := r.drop([]string{"acme/vad", "acme/*", "nobody/nothing"})
	if err != nil || !slices.Equal(dropped, []string{"acme/vad", "acme/*"}) {
		t.Errorf("dropped %v, %v", dropped, err)
	}
	if r := openRules(t, dir); r.follows("acme/vad") || r.carries("acme/vad") || !r.follows("acme/asr") {
		t.Error("after a restart other rules hold")
	}
}

func TestRulesRefuse(t *testing.T) {
	r := openRules(t, t.TempDir())
	for _, text := range []string{"", "acme", "acme/", "/vad", "acme/*", "a/b/c", "Acme/vad", "-x/y"} {
		if err := r.follow([]string{"acme/good", text}); !errors.Is(err, manifest.ErrName) {
			t.Errorf("follow %q: %v", text, err)
		}
	}
	for _, text := range []string{"", "*", "acme", "acme/[", "*/*/*", "acme/" + strings.Repeat("x", maxPatternBytes)} {
		if err := r.carry([]string{"acme/*", text}, limitChange{}); !errors.Is(err, manifest.ErrName) {
			t.Errorf("carry %q: %v", text, err)
		}
	}
	if len(r.followed())+len(r.patterns()) != 0 {
		t.Error("part of a refused request was kept")
	}
	many := make([]string, maxRules+1)
	for i := range many {
		many[i] = fmt.Sprintf("acme/m%d", i)
	}
	if err := r.follow(many); err == nil || len(r.followed()) != 0 {
		t.Errorf("%d rules: %v", len(many), err)
	}
	if err := r.follow(many[1:]); err != nil {
		t.Errorf("%d rules: %v", maxRules, err)
	}
}

// A rule that is not on disk does not hold either.
func TestRulesAreDurableOrNothing(t *testing.T) {
	dir := t.TempDir()
	r := openRules(t, dir)
	if err := os.Mkdir(filepath.Join(dir, followName), 0o700); err != nil { // nothing can be renamed over it
		t.Fatal(err)
	}
	if err := r.follow([]string{"acme/vad"}); err == nil || r.follows("acme/vad") {
		t.Errorf("followed in memory only: %v", err)
	}
}

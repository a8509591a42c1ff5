package site

import (
	"strings"
	"testing"
)

func TestAgent(t *testing.T) {
	long := strings.Repeat("x", MaxLabelBytes)
	for _, label := range []string{"", "ship-7", "Klinik Süd", long, "a  b"} {
		if err := ValidateLabel(label); err != nil {
			t.Errorf("%q: %v", label, err)
		}
		if got, ok := ParseAgent(Agent("1.2.3", label)); !ok || got != label {
			t.Errorf("%q comes back as %q, %t", label, got, ok)
		}
	}
	for _, label := range []string{long + "x", " a", "a ", "a(b", "a)b", "a\nb", "a\x00", "\xff", "\u202e"} {
		if ValidateLabel(label) == nil {
			t.Errorf("label %q is taken", label)
		}
		if got, ok := ParseAgent(Agent("1.2.3", label)); ok && got == label {
			t.Errorf("label %q is believed of a peer", label)
		}
	}
	for _, agent := range []string{
		"", "dunlin", "dunlin/", "kubo/0.39 (ship-7)", "dunlin/1 (ship-7", "dunlin/1 ship-7)", "dunlin/1 ()", "dunlin/ (a)",
		"dunlin/1  (a)", "dunlin/1 (a))", "dunlin/1 (a) ", "dunlin/" + long + "x (a)", "dunlin/1(a)",
	} {
		if label, ok := ParseAgent(agent); ok || label != "" {
			t.Errorf("agent %q has label %q", agent, label)
		}
	}
}

// What is read as a label is one that a node could have, and is written back as
// it was.
func FuzzAgent(f *testing.F) {
	for _, agent := range []string{"dunlin/0.1.0", "dunlin/0.1.0 (ship-7)", "dunlin/1 (a) (b)", "kubo/0.39.0/"} {
		f.Add(agent)
	}
	f.Fuzz(func(t *testing.T, agent string) {
		label, ok := ParseAgent(agent)
		if !ok {
			return
		}
		version, _, _ := strings.Cut(strings.TrimPrefix(agent, agentPrefix), " (")
		if err := ValidateLabel(label); err != nil || Agent(version, label) != agent {
			t.Fatalf("%q is read as %q (%v)", agent, label, err)
		}
	})
}

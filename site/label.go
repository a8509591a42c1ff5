package site

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/libp2p/go-libp2p/core/peer"
)

// MaxLabelBytes bounds a label.
const MaxLabelBytes = 64

const agentPrefix = "dunlin/"

// ValidateLabel says what is wrong with a label: it may be empty, and else is at
// most [MaxLabelBytes] of printable UTF-8 without parentheses, and neither
// begins nor ends with a space.
func ValidateLabel(label string) error {
	switch {
	case len(label) > MaxLabelBytes:
		return fmt.Errorf("site label of %d bytes, at most %d", len(label), MaxLabelBytes)
	case !utf8.ValidString(label):
		return fmt.Errorf("site label %q is not UTF-8", label)
	case strings.TrimSpace(label) != label:
		return fmt.Errorf("site label %q begins or ends with a space", label)
	}
	for _, r := range label {
		if !unicode.IsPrint(r) || r == '(' || r == ')' {
			return fmt.Errorf("site label %q has the character %q, want printable ones other than ( and )", label, r)
		}
	}
	return nil
}

// Agent is the agent version under which a node shows its label to whoever it
// connects to: "dunlin/VERSION (LABEL)", without a label "dunlin/VERSION".
func Agent(version, label string) string {
	if label == "" {
		return agentPrefix + version
	}
	return agentPrefix + version + " (" + label + ")"
}

// ParseAgent reads the label out of an agent version; empty if there is none.
// It says whether the agent is one that [Agent] makes; one of other software,
// or with a label out of bounds, is none.
func ParseAgent(agent string) (label string, ok bool) {
	rest, ok := strings.CutPrefix(agent, agentPrefix)
	if !ok {
		return "", false
	}
	version, rest, labelled := strings.Cut(rest, " (")
	if version == "" || len(version) > MaxLabelBytes || strings.ContainsAny(version, " ()") {
		return "", false
	}
	if !labelled {
		return "", true
	}
	label, ok = strings.CutSuffix(rest, ")")
	if !ok || label == "" || ValidateLabel(label) != nil {
		return "", false
	}
	return label, true
}

// LabelOf returns the label that a peer has shown; empty if it has none, or has
// not been identified yet.
func (s *Site) LabelOf(p peer.ID) string {
	value, err := s.cfg.Host.Peerstore().Get(p, "AgentVersion")
	if err != nil {
		return ""
	}
	agent, _ := value.(string)
	label, _ := ParseAgent(agent)
	return label
}

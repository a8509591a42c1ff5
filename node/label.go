package node

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxLabelBytes bounds the label of a site.
const maxLabelBytes = 64

// agentOf returns what a node of the site calls itself in libp2p's identify:
// "dunlin/VERSION (LABEL)", or without a label "dunlin/VERSION".
func agentOf(label string) string {
	if label == "" {
		return agentVersion
	}
	return agentVersion + " (" + label + ")"
}

// labelOf returns the label in what a peer calls itself, "" for none and for
// what is no label. A peer may claim any label: it decides whose place the peer
// takes among the connections, and what is asked for over the LAN first, never
// what is believed.
func labelOf(agent string) string {
	product, rest, ok := strings.Cut(agent, " (")
	label, closed := strings.CutSuffix(rest, ")")
	if !ok || !closed || !strings.HasPrefix(product, "dunlin/") || label == "" || validateLabel(label) != nil {
		return ""
	}
	return label
}

// validateLabel checks a site's label; "" is none.
func validateLabel(label string) error {
	if len(label) > maxLabelBytes {
		return fmt.Errorf("site label of %d bytes, at most %d", len(label), maxLabelBytes)
	}
	odd := func(r rune) bool { return r == '(' || r == ')' || !unicode.IsPrint(r) }
	if !utf8.ValidString(label) || strings.ContainsFunc(label, odd) {
		return fmt.Errorf("site label %q: want printable characters other than parentheses", label)
	}
	return nil
}

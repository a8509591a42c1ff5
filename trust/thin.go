package trust

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
)

// A snapshot names every model of a publisher and the targets delegate to each
// of them, about 230 bytes a model together, although an update mostly changes
// one. So to a node that holds an earlier snapshot they travel thin: in the
// same strict form, but with only those entries that the receiver cannot know.
// It fills in the rest and gets the publisher's very bytes, or a digest that
// does not hold ([ErrPartial]):
//
//   - a snapshot has the entries of the one that is held, replaced by those of
//     the documents that travel with it (their version and digest say all),
//     replaced by those that the thin one lists;
//   - targets have the delegations that are held, in their order, followed by
//     those that the thin ones list, without names that are held.
//
// No history is needed for this: entries of a lineage are never taken away
// (TUF §5.5.5), and [modelRole].since says which models changed after a
// snapshot. So any node can serve any older one.

// span is where a value stands in a document.
type span struct{ from, to int }

// locate finds the value at the given path of keys inside the signed part of
// a document in strict form; false if there is none. The error wraps
// ErrMalformed.
func locate(data []byte, path ...string) (span, bool, error) {
	signed, err := splitCanonical(data)
	if err != nil {
		return span{}, false, err
	}
	at := len(data) - len(signed) - 1 // the envelope ends with one brace
	here := span{at, at + len(signed)}
	for _, key := range path {
		found := false
		for name, value := range members(data, here) {
			if string(name) == key {
				here, found = value, true
				break
			}
		}
		if !found {
			return span{}, false, nil
		}
	}
	return here, true, nil
}

// members yields the names and values of an object, nothing if there stands
// something else. data must be strict.
func members(data []byte, object span) iter.Seq2[[]byte, span] {
	return func(yield func([]byte, span) bool) {
		s := scanner{data: data[:object.to], at: object.from}
		if s.peek() != '{' {
			return
		}
		for s.at++; s.peek() == '"'; s.at++ {
			name, err := s.text()
			if err != nil {
				return
			}
			s.at++ // the colon
			from := s.at
			if s.value(1) != nil || !yield(name, span{from, s.at}) {
				return
			}
		}
	}
}

// elements yields the values of an array, nothing if there stands something
// else. data must be strict.
func elements(data []byte, array span) iter.Seq[span] {
	return func(yield func(span) bool) {
		s := scanner{data: data[:array.to], at: array.from}
		if s.peek() != '[' {
			return
		}
		for s.at++; s.at < array.to-1; s.at++ {
			from := s.at
			if s.value(1) != nil || !yield(span{from, s.at}) {
				return
			}
		}
	}
}

// splice puts content between the braces or brackets at hole.
func splice(data []byte, hole span, content [][]byte) ([]byte, error) {
	inner := bytes.Join(content, []byte{','})
	if size := len(data) - (hole.to - hole.from) + 2 + len(inner); size > MaxDocumentBytes {
		return nil, fmt.Errorf("%w: filled in it has %d bytes, at most %d allowed", ErrMalformed, size, MaxDocumentBytes)
	}
	return slices.Concat(data[:hole.from+1], inner, data[hole.to-1:]), nil
}

// metaPath and delegationsPath lead to what is thinned out.
var (
	metaPath        = []string{"meta"}
	delegationsPath = []string{"delegations", "roles"}
)

// entryOf returns the text of the entry that a snapshot has for a document,
// unless it has fields which TUF leaves to the publisher; nil if data has no
// version.
func entryOf(data []byte) []byte {
	at, ok, err := locate(data, "version")
	if err != nil || !ok {
		return nil
	}
	sum := sha256.Sum256(data)
	return fmt.Appendf(nil, `{"hashes":{"sha256":"%s"},"version":%s}`, hex.EncodeToString(sum[:]), data[at.from:at.to])
}

// entriesOf returns the entries of all documents that an update carries whole.
// targets are the filled-in ones.
func entriesOf(targets []byte, roles []Role) map[string][]byte {
	entries := make(map[string][]byte, len(roles)+1)
	if len(targets) > 0 {
		entries[targetsEntry] = entryOf(targets)
	}
	for _, r := range roles {
		entries[r.Name+".json"] = entryOf(r.Data)
	}
	return entries
}

// thinSnapshot returns the snapshot of v without the entries that follow from
// what u carries or that a receiver with an earlier one holds.
func (v *view) thinSnapshot(u Update) ([]byte, error) {
	data := v.snapshot.data
	hole, _, err := locate(data, metaPath...)
	if err != nil {
		return nil, err
	}
	carried := entriesOf(u.Targets, u.Roles)
	var listed [][]byte
	for name, value := range members(data, hole) {
		text := data[value.from:value.to]
		entry, sent := carried[string(name)]
		model, ofRole := strings.CutPrefix(strings.TrimSuffix(string(name), ".json"), rolePrefix)
		known := string(name) == targetsEntry || ofRole && v.roles[model] != nil
		if sent && !bytes.Equal(entry, text) || !sent && !known {
			listed = append(listed, data[value.from-len(name)-len(`"":`):value.to])
		}
	}
	return splice(data, hole, listed)
}

// thinTargets returns the targets of v without the first held delegations.
func (v *view) thinTargets(held int64) ([]byte, error) {
	data := v.targets.data
	hole, ok, err := locate(data, delegationsPath...)
	if err != nil || !ok {
		return data, err
	}
	var listed [][]byte
	i := int64(0)
	for value := range elements(data, hole) {
		if i++; i > held {
			listed = append(listed, data[value.from:value.to])
		}
	}
	return splice(data, hole, listed)
}

// fillSnapshot makes a whole snapshot of a thin one: see above. carried are
// the entries of the documents that came with it.
func fillSnapshot(thin, held []byte, carried map[string][]byte) ([]byte, error) {
	hole, ok, err := locate(thin, metaPath...)
	if err != nil || !ok {
		return nil, errors.Join(err, fmt.Errorf("thin snapshot: %w: no entries", ErrMalformed))
	}
	from, _, err := locate(held, metaPath...)
	if err != nil {
		return nil, err
	}
	entries := make(map[string][]byte, len(carried)+64)
	for name, value := range members(held, from) {
		entries[string(name)] = held[value.from:value.to]
	}
	maps.Copy(entries, carried)
	for name, value := range members(thin, hole) {
		entries[string(name)] = thin[value.from:value.to]
	}
	content := make([][]byte, 0, len(entries))
	for _, name := range slices.Sorted(maps.Keys(entries)) {
		content = append(content, slices.Concat([]byte(`"`+name+`":`), entries[name]))
	}
	return splice(thin, hole, content)
}

// fillTargets makes whole targets of thin ones: see above.
func fillTargets(thin, held []byte) ([]byte, error) {
	hole, ok, err := locate(thin, delegationsPath...)
	if err != nil || !ok {
		return thin, err
	}
	from, ok, err := locate(held, delegationsPath...)
	if err != nil {
		return nil, err
	}
	var content [][]byte
	known := make(map[string]bool)
	if ok {
		for value := range elements(held, from) {
			content = append(content, held[value.from:value.to])
			known[delegateOf(held, value)] = true
		}
	}
	for value := range elements(thin, hole) {
		if !known[delegateOf(thin, value)] {
			content = append(content, thin[value.from:value.to])
		}
	}
	return splice(thin, hole, content)
}

// delegateOf returns the name of the role in a delegation.
func delegateOf(data []byte, delegation span) string {
	for name, value := range members(data, delegation) {
		if string(name) == "name" {
			return string(data[value.from:value.to])
		}
	}
	return ""
}

// fill replaces the thin documents of the update by whole ones.
func (s *step) fill() (err error) {
	if !s.u.Thin {
		return nil
	}
	if s.old.snapshot == nil || s.old.targets == nil {
		return fmt.Errorf("%w: thin documents, and nothing is held to fill them with", ErrMismatch)
	}
	if len(s.u.Targets) > 0 {
		if s.u.Targets, err = fillTargets(s.u.Targets, s.old.targets.data); err != nil {
			return fmt.Errorf("thin targets: %w", err)
		}
	}
	if len(s.u.Snapshot) > 0 {
		if s.u.Snapshot, err = fillSnapshot(s.u.Snapshot, s.old.snapshot.data, entriesOf(s.u.Targets, s.u.Roles)); err != nil {
			return fmt.Errorf("thin snapshot: %w", err)
		}
	}
	return nil
}

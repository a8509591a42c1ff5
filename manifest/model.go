package manifest

import (
	"errors"
	"fmt"
	"path"
	"strings"
)

// ErrName says that a model, version, variant or path is not of the allowed
// form; the error around it says which rule it breaks.
var ErrName = errors.New("invalid name")

// Bounds of names, in bytes.
const (
	MaxPublisherBytes = 63
	MaxNameBytes      = 96
	MaxVersionBytes   = 64
	MaxPathBytes      = 512
)

// Model is "publisher/name": a publisher of lower-case letters, digits and
// ".-_", a name that may have upper case too. Both start with a letter or
// digit, so neither can be a flag, a hidden file or "..".
type Model string

// ParseModel checks text and returns it as a Model; the error wraps [ErrName].
func ParseModel(text string) (Model, error) {
	m := Model(text)
	return m, m.Validate()
}

// Publisher returns the part before the slash.
func (m Model) Publisher() string {
	p, _, _ := strings.Cut(string(m), "/")
	return p
}

// Name returns the part after the slash.
func (m Model) Name() string {
	_, n, _ := strings.Cut(string(m), "/")
	return n
}

// Validate returns an error that wraps [ErrName] if m is not of the form.
func (m Model) Validate() error {
	publisher, name, ok := strings.Cut(string(m), "/")
	if !ok {
		return fmt.Errorf("%w: model %.80q is not of the form publisher/name", ErrName, string(m))
	}
	if err := ValidatePublisher(publisher); err != nil {
		return err
	}
	return validateName("model name", name, MaxNameBytes, "-_.")
}

// ValidatePublisher checks a publisher's name: 1 to 63 bytes of lower-case
// letters, digits and ".-_", the first a letter or digit.
func ValidatePublisher(name string) error {
	if strings.ToLower(name) != name {
		return fmt.Errorf("%w: publisher %.80q has upper-case letters", ErrName, name)
	}
	return validateName("publisher", name, MaxPublisherBytes, "-_.")
}

// ValidateVersion checks a version for people: 1 to 64 bytes of letters,
// digits and ".-_+", the first a letter or digit. Versions have no order;
// sequences do.
func ValidateVersion(version string) error {
	return validateName("version", version, MaxVersionBytes, "-_.+")
}

func validateName(what, name string, limit int, punctuation string) error {
	if name == "" || len(name) > limit {
		return fmt.Errorf("%w: %s %.80q has %d bytes, want 1 to %d", ErrName, what, name, len(name), limit)
	}
	for i, r := range []byte(name) {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		if !letter && (i == 0 || !strings.ContainsRune(punctuation, rune(r))) {
			return fmt.Errorf("%w: %s %.80q has %q at byte %d", ErrName, what, name, r, i)
		}
	}
	if strings.HasSuffix(name, ".") || reserved(name) {
		return fmt.Errorf("%w: %s %q cannot be a file's name on every system", ErrName, what, name)
	}
	return nil
}

// ValidatePath checks the path of a file inside a variant: relative, clean,
// slash-separated, at most 512 bytes of printable text, and usable as it is on
// every operating system (no backslash, colon, reserved device name or
// trailing dot or space). The error wraps [ErrName].
func ValidatePath(p string) error {
	if p == "" || len(p) > MaxPathBytes {
		return fmt.Errorf("%w: path %.80q has %d bytes, want 1 to %d", ErrName, p, len(p), MaxPathBytes)
	}
	if path.Clean(p) != p || path.IsAbs(p) || p == "." || p == ".." || strings.HasPrefix(p, "../") {
		return fmt.Errorf("%w: path %.80q is not clean and relative", ErrName, p)
	}
	for i, r := range p {
		if r < ' ' || r == 0x7f || r == 0xfffd || strings.ContainsRune(`\:*?"<>|`, r) {
			return fmt.Errorf("%w: path %.80q has %q at byte %d", ErrName, p, r, i)
		}
	}
	for part := range strings.SplitSeq(p, "/") {
		if strings.HasSuffix(part, ".") || strings.HasSuffix(part, " ") || reserved(part) || len(part) > 255 {
			return fmt.Errorf("%w: path %.80q cannot be a file's name on every system", ErrName, p)
		}
	}
	return nil
}

// reserved says whether Windows takes name for a device
// (https://learn.microsoft.com/windows/win32/fileio/naming-a-file).
func reserved(name string) bool {
	stem, _, _ := strings.Cut(strings.ToLower(name), ".")
	switch stem {
	case "con", "prn", "aux", "nul":
		return true
	}
	if len(stem) != 4 || stem[3] < '0' || stem[3] > '9' {
		return false
	}
	return strings.HasPrefix(stem, "com") || strings.HasPrefix(stem, "lpt")
}

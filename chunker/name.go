package chunker

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// nameBuilder makes a tensor's name of bytes that a file gives, however many:
// it holds at most 512. A name is valid UTF-8 without control characters,
// which become U+FFFD; one that is too long keeps its beginning and ends in
// "~" and 16 hex digits of the whole's sha256, so that different names stay
// different.
type nameBuilder struct {
	head []byte
	long hash.Hash // of all bytes, once they are more than fit
}

func (b *nameBuilder) write(p []byte) {
	if b.long == nil && len(b.head)+len(p) <= manifest.MaxTensorName {
		b.head = append(b.head, p...)
		return
	}
	if b.long == nil {
		b.long = sha256.New()
		b.long.Write(b.head)
	}
	b.long.Write(p)
	b.head = append(b.head, p[:min(len(p), manifest.MaxTensorName-len(b.head))]...)
}

func (b *nameBuilder) String() string {
	name := strings.Map(printable, string(b.head))
	if b.long == nil && len(name) <= manifest.MaxTensorName {
		return name
	}
	if b.long == nil {
		b.long = sha256.New()
		b.long.Write(b.head)
	}
	const digits = 16
	end := min(len(name), manifest.MaxTensorName-1-digits)
	for end > 0 && end < len(name) && !utf8.RuneStart(name[end]) {
		end--
	}
	return name[:end] + "~" + hex.EncodeToString(b.long.Sum(nil)[:digits/2])
}

// printable maps control characters, and through strings.Map bytes that are no
// UTF-8, to U+FFFD.
func printable(r rune) rune {
	if unicode.IsControl(r) {
		return utf8.RuneError
	}
	return r
}

// nameOf returns text as a name.
func nameOf(text string) string {
	var b nameBuilder
	b.write([]byte(text))
	return b.String()
}

// text reads the bytes of m as a name.
func (s *source) text(m span) (string, error) {
	var b nameBuilder
	for at := m.start; at < m.end; {
		data, err := s.page(at)
		if err != nil {
			return "", err
		}
		data = data[:min(int64(len(data)), m.end-at)]
		b.write(data)
		at += int64(len(data))
	}
	return b.String(), nil
}

package links

import (
	"testing"

	"pgregory.net/rapid"
)

func TestParseRate(t *testing.T) {
	for text, want := range map[string]Rate{
		"9600bit": 9600, "64kbit": 64_000, "64 kbit": 64_000, "1.5Mbit": 1_500_000, "1.5mbit/s": 1_500_000, "2Gbit": 2e9, "none": 0,
	} {
		if got, err := ParseRate(text); err != nil || got != want {
			t.Errorf("%q: %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "64", "64k", "64kB", "-1kbit", "0kbit", "1e3bit", "nankbit", "2000Tbit", "kbit", "1.2.3kbit"} {
		if got, err := ParseRate(text); err == nil {
			t.Errorf("%q is read as %d", text, got)
		}
	}
}

func TestParseBytes(t *testing.T) {
	for text, want := range map[string]Bytes{
		"800kB": 800_000, "16MiB": 16 << 20, "2GB": 2e9, "0.5GiB": 1 << 29, "1b": 1, "none": 0,
	} {
		if got, err := ParseBytes(text); err != nil || got != want {
			t.Errorf("%q: %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "16", "16M", "16Mbit", "-1B", "0B", "inf MB", "9999TB", "MiB"} {
		if got, err := ParseBytes(text); err == nil {
			t.Errorf("%q is read as %d", text, got)
		}
	}
}

// TestUnitsReadWhatTheyWrite: every rate and amount, exactly.
func TestUnitsReadWhatTheyWrite(t *testing.T) {
	for r, want := range map[Rate]string{0: "none", 64_000: "64kbit", 1_500_000: "1.5Mbit", 9600: "9.6kbit", 300: "300bit"} {
		if got := r.String(); got != want {
			t.Errorf("%d is written as %s, want %s", int64(r), got, want)
		}
	}
	for b, want := range map[Bytes]string{16 << 20: "16MiB", 500e6: "500MB", 1234567: "1234567B", 1_234_000: "1234kB", 1: "1B", 3 << 30: "3GiB"} {
		if got := b.String(); got != want {
			t.Errorf("%d is written as %s, want %s", int64(b), got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		r := Rate(rapid.Int64Range(0, int64(MaxRate)).Draw(t, "rate"))
		if got, err := ParseRate(r.String()); err != nil || got != r {
			t.Fatalf("%d is written as %s and read as %d, %v", int64(r), r, int64(got), err)
		}
		b := Bytes(rapid.Int64Range(0, int64(MaxBytes)).Draw(t, "bytes"))
		if got, err := ParseBytes(b.String()); err != nil || got != b {
			t.Fatalf("%d is written as %s and read as %d, %v", int64(b), b, int64(got), err)
		}
	})
}

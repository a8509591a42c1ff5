package links

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Rate is a speed in bits per second; 0 is none, and so no bound.
type Rate int64

// MaxRate is the largest rate that can be said: 1 Tbit/s.
const MaxRate Rate = 1e12

// Bytes is an amount; 0 is none said.
type Bytes int64

// MaxBytes is the largest amount that can be said: 1 PB.
const MaxBytes Bytes = 1e15

type unit struct {
	name string
	size float64
}

// Longer names come first where one ends in another.
var (
	rateUnits = []unit{{"Tbit", 1e12}, {"Gbit", 1e9}, {"Mbit", 1e6}, {"kbit", 1e3}, {"bit", 1}}
	byteUnits = []unit{
		{"TB", 1e12}, {"TiB", 1 << 40}, {"GB", 1e9}, {"GiB", 1 << 30}, {"MB", 1e6}, {"MiB", 1 << 20}, {"kB", 1e3}, {"KiB", 1 << 10}, {"B", 1},
	}
)

// ParseRate reads "64kbit", "1.5Mbit", "2400bit", with or without "/s", or
// "none". A number without a unit is refused: kilobits are taken for kilobytes
// too often.
func ParseRate(text string) (Rate, error) {
	v, err := parseUnit(strings.TrimSuffix(text, "/s"), rateUnits, float64(MaxRate))
	if err != nil {
		return 0, fmt.Errorf("rate %.40q: want a form such as 9600bit, 64kbit, 1.5Mbit or none", text)
	}
	return Rate(v), nil
}

// ParseBytes reads "500MB", "16MiB", "800kB" or "none".
func ParseBytes(text string) (Bytes, error) {
	v, err := parseUnit(text, byteUnits, float64(MaxBytes))
	if err != nil {
		return 0, fmt.Errorf("amount %.40q: want a form such as 800kB, 16MiB, 2GB or none", text)
	}
	return Bytes(v), nil
}

// parseUnit reads a number with a unit of at least 1 and at most most.
func parseUnit(text string, units []unit, most float64) (int64, error) {
	if text == "none" {
		return 0, nil
	}
	lower := strings.ToLower(text)
	for _, u := range units {
		number, ok := strings.CutSuffix(lower, strings.ToLower(u.name))
		if !ok {
			continue
		}
		number = strings.TrimSuffix(number, " ")
		if number == "" || strings.Trim(number, "0123456789.") != "" {
			return 0, strconv.ErrSyntax
		}
		v, err := strconv.ParseFloat(number, 64)
		if v = math.Round(v * u.size); err != nil || v < 1 || v > most {
			return 0, strconv.ErrRange
		}
		return int64(v), nil
	}
	return 0, strconv.ErrSyntax
}

// String writes the rate so that [ParseRate] reads it.
func (r Rate) String() string { return formatUnit(int64(r), rateUnits) }

// String writes the amount so that [ParseBytes] reads it.
func (b Bytes) String() string { return formatUnit(int64(b), byteUnits) }

// formatUnit writes n exactly, with at most three digits behind the point, in
// the shortest way.
func formatUnit(n int64, units []unit) string {
	switch {
	case n == 0:
		return "none"
	case n < 0: // nothing that is valid
		return strconv.FormatInt(n, 10)
	}
	best := ""
	for _, u := range units {
		size := int64(u.size)
		decimal := size%1000 == 0
		if n < size || decimal && n%(size/1000) != 0 || !decimal && n%size != 0 {
			continue
		}
		text := strconv.FormatFloat(float64(n)/u.size, 'f', 3, 64)
		text = strings.TrimSuffix(strings.TrimRight(text, "0"), ".") + u.name
		if best == "" || len(text) < len(best) {
			best = text
		}
	}
	return best
}

// MarshalText implements encoding.TextMarshaler.
func (r Rate) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *Rate) UnmarshalText(text []byte) (err error) {
	*r, err = ParseRate(string(text))
	return err
}

// MarshalText implements encoding.TextMarshaler.
func (b Bytes) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (b *Bytes) UnmarshalText(text []byte) (err error) {
	*b, err = ParseBytes(string(text))
	return err
}

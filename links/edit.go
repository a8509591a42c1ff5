package links

import (
	"fmt"
	"net/netip"
	"strings"
)

// keys are what [Edit] takes.
const keys = "match, local, class, up, down, schedule, day, month, metered, full_limit"

// Edit returns c with the settings changed, each of the form key=value; several
// values of match, local and schedule are separated by commas (windows by
// semicolons, since days have commas), and none unsets a key. The result is
// validated; the error wraps [ErrConfig].
func Edit(c Config, settings []string) (Config, error) {
	for _, text := range settings {
		key, value, ok := strings.Cut(text, "=")
		if !ok {
			return c, fmt.Errorf("%w %q: setting %.40q: want key=value with a key of %s", ErrConfig, c.Name, text, keys)
		}
		if err := c.set(key, value); err != nil {
			return c, fmt.Errorf("%w %q: %s: %w", ErrConfig, c.Name, key, err)
		}
	}
	return c, c.Validate()
}

func (c *Config) set(key, value string) (err error) {
	switch key {
	case "match":
		c.Match = nil
		for part := range list(value, ",") {
			p, err := netip.ParsePrefix(part)
			if err != nil {
				a, addrErr := netip.ParseAddr(part)
				if addrErr != nil {
					return fmt.Errorf("%.40q is neither a prefix nor an address", part)
				}
				p = netip.PrefixFrom(a, a.BitLen())
			}
			c.Match = append(c.Match, p)
		}
	case "local":
		c.Local = nil
		for part := range list(value, ",") {
			c.Local = append(c.Local, part)
		}
	case "class":
		if c.Class = Class(value); value == "none" {
			c.Class = ""
		}
	case "up":
		c.Up, err = ParseRate(value)
	case "down":
		c.Down, err = ParseRate(value)
	case "schedule":
		c.Schedule = nil
		for part := range list(value, ";") {
			w, err := ParseWindow(part)
			if err != nil {
				return err
			}
			c.Schedule = append(c.Schedule, w)
		}
	case "day":
		c.Day, err = ParseBytes(value)
	case "month":
		c.Month, err = ParseBytes(value)
	case "full_limit":
		c.FullLimit, err = ParseBytes(value)
	case "metered":
		switch value {
		case "true", "yes":
			c.Metered = true
		case "false", "no", "none":
			c.Metered = false
		default:
			return fmt.Errorf("%.20q: want yes or no", value)
		}
	default:
		return fmt.Errorf("no such key: want one of %s", keys)
	}
	return err
}

// list yields the parts of a value; none of "none".
func list(value, separator string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		if value == "none" {
			return
		}
		for part := range strings.SplitSeq(value, separator) {
			if !yield(strings.TrimSpace(part)) {
				return
			}
		}
	}
}

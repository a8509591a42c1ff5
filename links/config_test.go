package links

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/netip"
	"strings"
	"testing"
)

func TestEdit(t *testing.T) {
	c, err := Edit(Config{Name: "sat"}, []string{
		"match=10.8.0.0/16, 2001:db8::/32,192.0.2.7", "local=wwan0,10.8.0.2", "class=satellite", "up=64kbit", "down=256kbit",
		"schedule=22:00-06:00; sat,sun 00:00-24:00", "day=20MiB", "month=500MB", "metered=yes", "full_limit=2MB",
	})
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"name":"sat","match":["10.8.0.0/16","2001:db8::/32","192.0.2.7/32"],"local":["wwan0","10.8.0.2"],"class":"satellite",` +
		`"up":"64kbit","down":"256kbit","schedule":["22:00-06:00","sat,sun 00:00-24:00"],"day":"20MiB","month":"500MB","metered":true,"full_limit":"2MB"}`
	if string(data) != want {
		t.Errorf("written as\n%s, want\n%s", data, want)
	}
	var again Config
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&again); err != nil {
		t.Fatal(err)
	}
	if data2, err := json.Marshal(again); err != nil || string(data2) != want {
		t.Errorf("read and written as %s, %v", data2, err)
	}
	none, err := Edit(c, []string{
		"local=none", "class=none", "up=none", "down=none", "schedule=none", "day=none", "month=none", "metered=no", "full_limit=none",
	})
	if err != nil {
		t.Fatal(err)
	}
	if data, err := json.Marshal(none); err != nil || string(data) != `{"name":"sat","match":["10.8.0.0/16","2001:db8::/32","192.0.2.7/32"]}` {
		t.Errorf("with nothing set: %s, %v", data, err)
	}
}

func TestEditRefuses(t *testing.T) {
	for setting, says := range map[string]string{
		"rate=64kbit":           "no such key",
		"up":                    "want key=value",
		"up=64":                 "want a form such as",
		"up=100bit":             "300bit to 1Tbit",
		"class=radio":           "is none of",
		"match=10.8.1.1/16":     "without bits behind its length",
		"match=ten":             "neither a prefix nor an address",
		"match=none":            "which connections",
		"local=eth 0":           "an interface or an address",
		"schedule=22-06":        "want a form such as",
		"day=1kB":               "at least 64KiB",
		"month=12":              "want a form such as",
		"metered=maybe":         "yes or no",
		"full_limit=-1B":        "want a form such as",
		"local=" + longList(70): "at most 64",
	} {
		_, err := Edit(Config{Name: "sat", Match: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}, []string{setting})
		if !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), `"sat"`) {
			t.Errorf("%s: %v; want %q", setting, err, says)
		}
	}
}

func longList(n int) string { return strings.TrimSuffix(strings.Repeat("a,", n), ",") }

func TestValidate(t *testing.T) {
	sat := Config{Name: "sat", Local: []string{"wwan0"}}
	for says, list := range map[string][]Config{
		"lower-case letters":  {{Name: "Sat", Local: []string{"x"}}},
		"two of this name":    {sat, sat},
		"at most 16":          make([]Config, 17),
		"no other link does":  {{Name: Default, Local: []string{"x"}}},
		"which connections":   {{Name: "lte"}},
		"at most 32":          {{Name: Default, Schedule: make(Schedule, 33)}},
		"1 to 32":             {{Name: strings.Repeat("a", 33), Local: []string{"x"}}},
		"an interface or an":  {{Name: "a", Local: []string{""}}},
		"without bits behind": {{Name: "a", Match: make([]netip.Prefix, 1)}},
		"full_limit of -1":    {{Name: Default, FullLimit: -1}},
		"month -5: want at":   {{Name: Default, Month: -5}},
		"down -1: want 300b":  {{Name: Default, Down: -1}},
	} {
		if err := Validate(list); !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), says) {
			t.Errorf("%v; want %q", err, says)
		}
	}
	if err := Validate([]Config{sat, {Name: Default, Metered: true}}); err != nil {
		t.Error(err)
	}
}

package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const header = "pair\told\tnew\twhat_changed\tbest_tool\tbest_tool_bytes\treference_coder_bytes\n"

func TestParsePairs(t *testing.T) {
	cases, err := parsePairs(strings.NewReader(header+"p\ta/1\ta/2\tgraph, \"only\"\tbsdiff\t20\t10\n"), "dir")
	if err != nil {
		t.Fatal(err)
	}
	if len(cases) != 1 {
		t.Fatalf("%d cases", len(cases))
	}
	c := cases[0]
	if c.name != "p" || c.kind != pairCase || c.old != filepath.Join("dir", "a", "1") || c.new != filepath.Join("dir", "a", "2") ||
		c.tableTool != "bsdiff" || c.tableBest != 20 || c.reference != 10 {
		t.Errorf("%+v", c)
	}
}

func TestParsePairsRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":               "",
		"another header":        strings.Replace(header, "old", "new", 1),
		"a field too few":       header + "p\ta\tb\tc\tbsdiff\t20\n",
		"a path that leads out": header + "p\t../a\tb\tc\tbsdiff\t20\t10\n",
		"no number":             header + "p\ta\tb\tc\tbsdiff\tmany\t10\n",
		"a negative number":     header + "p\ta\tb\tc\tbsdiff\t20\t-1\n",
	} {
		if _, err := parsePairs(strings.NewReader(text), "dir"); err == nil {
			t.Errorf("%s is read", name)
		}
	}
}

// TestAllCases: names are what -only and -prepare choose by.
func TestAllCases(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "PAIRS.tsv"), header+"p\ta\tb\tc\tbsdiff\t20\t10\n")
	cases, err := allCases(dir)
	if err != nil {
		t.Fatal(err)
	}
	kinds := make(map[kind]int)
	var names []string
	for _, c := range cases {
		kinds[c.kind]++
		names = append(names, c.name)
	}
	if kinds[pairCase] != 1 || kinds[classCase] < 24 || kinds[unrelatedCase] < 3 || kinds[speedKind] < 3 {
		t.Errorf("kinds %v", kinds)
	}
	slices.Sort(names)
	if n := len(slices.Compact(names)); n != len(cases) {
		t.Errorf("%d cases of %d names", len(cases), n)
	}
	if err := prepare(cases, "p", dir, dir); err == nil {
		t.Error("files of a real pair were made")
	}
	if _, err := prepared(dir); err == nil {
		t.Error("files were found where there are none")
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

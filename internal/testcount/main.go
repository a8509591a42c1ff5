// Command testcount reads `go test -json` on standard input, prints what
// failed with its output and what was skipped with its reason, and ends with
// one line "N passed, N failed, N skipped". It exits with 1 if anything failed
// or nothing ran. Tests and their subtests count one each.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
)

// event is one line of `go test -json` (see `go doc test2json`).
type event struct {
	Action, Package, ImportPath, Test, Output string
	Elapsed                                   float64
}

type key struct{ pkg, test string }

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "testcount:", err)
		os.Exit(1)
	}
}

func run(in io.Reader, out io.Writer) error {
	var passed, failed, skipped, broken int
	outputs := map[key]*strings.Builder{}
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 64<<10), 16<<20)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			fmt.Fprintln(out, lines.Text()) // go's own words, such as a build error
			continue
		}
		k := key{e.Package + e.ImportPath, e.Test}
		if outputs[k] == nil {
			outputs[k] = &strings.Builder{}
		}
		switch e.Action {
		case "output", "build-output":
			if outputs[k].Len() < 1<<20 {
				outputs[k].WriteString(e.Output)
			}
			continue
		case "pass":
			if e.Test != "" {
				passed++
			} else {
				fmt.Fprintf(out, "ok   %6.1fs %s\n", e.Elapsed, e.Package)
			}
		case "skip":
			if e.Test != "" {
				skipped++
				fmt.Fprintf(out, "SKIP %s %s\n%s", e.Package, e.Test, reason(outputs[k].String()))
			}
		case "fail", "build-fail":
			if e.Test != "" {
				failed++
			} else {
				broken++
			}
			fmt.Fprintf(out, "FAIL %s %s\n%s", k.pkg, e.Test, outputs[k])
		default:
			continue
		}
		delete(outputs, k)
	}
	if err := lines.Err(); err != nil {
		return err
	}
	fmt.Fprintf(out, "%d passed, %d failed, %d skipped\n", passed, failed, skipped)
	switch {
	case failed+broken > 0:
		return fmt.Errorf("%d tests failed, in %d packages", failed, broken)
	case passed == 0:
		return fmt.Errorf("no test ran")
	}
	return nil
}

// reason keeps the lines of a skipped test's output that say why.
func reason(output string) string {
	var b strings.Builder
	for line := range strings.Lines(output) {
		if !strings.HasPrefix(strings.TrimSpace(line), "=== ") && !strings.HasPrefix(strings.TrimSpace(line), "--- ") {
			b.WriteString(line)
		}
	}
	return b.String()
}

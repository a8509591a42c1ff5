package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// sumTarget is the share of the best tools' bytes that our deltas of all pairs
// may have together.
const sumTarget = 0.80

// report is a whole run.
type report struct {
	Rows []row `json:"rows"`
	Sum  sum   `json:"sum"`
}

// sum is over the pairs of PAIRS.tsv that were run.
type sum struct {
	Pairs  int     `json:"pairs"`
	Delta  int64   `json:"delta_bytes"`
	Best   int64   `json:"best_tool_bytes"`
	Ratio  float64 `json:"ratio"`
	Target float64 `json:"target"`
}

func (r *report) sum() {
	r.Sum = sum{Target: sumTarget}
	for i := range r.Rows {
		if row := &r.Rows[i]; row.Kind == pairCase {
			r.Sum.Pairs++
			r.Sum.Delta += row.Delta
			r.Sum.Best += row.Best
		}
	}
	if r.Sum.Best > 0 {
		r.Sum.Ratio = float64(r.Sum.Delta) / float64(r.Sum.Best)
	}
}

// failure is an error if anything failed; what misses its target is none.
func (r *report) failure() error {
	var failed []string
	for i := range r.Rows {
		if len(r.Rows[i].Problems) > 0 {
			failed = append(failed, r.Rows[i].Name)
		}
	}
	if len(failed) == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d cases failed: %s", len(failed), len(r.Rows), strings.Join(failed, ", "))
}

func (r *report) writeJSON(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(r)
}

// writeTable prints sizes, then speeds, then what is wrong, then the sum.
func (r *report) writeTable(w io.Writer) error {
	return errors.Join(r.writeSizes(w), r.writeSpeeds(w), r.writeNotes(w), r.writeSum(w))
}

func (r *report) writeSizes(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	lines := 0
	fmt.Fprintln(t, "full\tzstd-patch\txdelta3\tbsdiff\tbest\treference\tours\tours/best\tours/ref\tours/full\tenc MB/s\tdec MB/s\tpeak MiB\t\t name")
	for i := range r.Rows {
		row := &r.Rows[i]
		if row.Kind == speedKind {
			continue
		}
		lines++
		best := number(row.Best)
		if row.BestFromTable {
			best += "*"
		}
		fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t %s\n", row.Full,
			number(row.Tools["zstd-patch"]), number(row.Tools["xdelta3"]), number(row.Tools["bsdiff"]), best, number(row.Reference),
			number(row.Delta), ratio(row.Delta, row.Best), ratio(row.Delta, row.Reference), ratio(row.Delta, row.Full),
			rate(row.Full, row.SecondsEncode), rate(row.Full, row.SecondsDecode), mebibytes(max(row.PeakEncode, row.PeakDecode)), row.verdict(), row.Name)
	}
	if lines == 0 {
		return nil
	}
	return t.Flush()
}

func (r *report) writeSpeeds(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	lines := 0
	fmt.Fprintln(t, "\nfull\tours\tencode s\tdecode s\tenc MB/s\tdec MB/s\tenc MiB\tdec MiB\t\t name")
	for i := range r.Rows {
		row := &r.Rows[i]
		if row.Kind != speedKind {
			continue
		}
		lines++
		fmt.Fprintf(t, "%d\t%s\t%.2f\t%.2f\t%s\t%s\t%s\t%s\t%s\t %s: %s\n", row.Full, number(row.Delta), row.SecondsEncode, row.SecondsDecode,
			rate(row.Full, row.SecondsEncode), rate(row.Full, row.SecondsDecode), mebibytes(row.PeakEncode), mebibytes(row.PeakDecode), row.verdict(), row.Name, row.What)
	}
	if lines == 0 {
		return nil
	}
	return t.Flush()
}

// writeNotes says what each FAILED and each miss is.
func (r *report) writeNotes(w io.Writer) error {
	var b strings.Builder
	for i := range r.Rows {
		for _, p := range r.Rows[i].Problems {
			fmt.Fprintf(&b, "FAILED  %s: %s\n", r.Rows[i].Name, p)
		}
		for _, m := range r.Rows[i].Misses {
			fmt.Fprintf(&b, "misses  %s: %s\n", r.Rows[i].Name, m)
		}
	}
	if b.Len() == 0 {
		return nil
	}
	_, err := fmt.Fprintf(w, "\n%s", b.String())
	return err
}

func (r *report) writeSum(w io.Writer) error {
	if r.Sum.Pairs == 0 {
		return nil
	}
	verdict := "good"
	if r.Sum.Ratio > r.Sum.Target {
		verdict = "misses"
	}
	_, err := fmt.Fprintf(w, "\nPAIRS.tsv, %d pairs: ours %d / best tools %d = %.3f, target %.2f: %s\n",
		r.Sum.Pairs, r.Sum.Delta, r.Sum.Best, r.Sum.Ratio, r.Sum.Target, verdict)
	return err
}

// number prints bytes, ratio a quotient, rate MB/s; all print - for the unknown.
func number(n int64) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprint(n)
}

func ratio(a, b int64) string {
	if a == 0 || b == 0 {
		return "-"
	}
	return fmt.Sprintf("%.3f", float64(a)/float64(b))
}

func rate(bytes int64, seconds float64) string {
	if seconds == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f", float64(bytes)/1e6/seconds)
}

func mebibytes(n int64) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprintf("%.0f", float64(n)/(1<<20))
}

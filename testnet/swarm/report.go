package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
)

// report is a whole run.
type report struct {
	Rows []row `json:"rows"`
}

func (r *report) writeJSON(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(r)
}

// failure is an error if a system failed; what misses its target is none.
func (r *report) failure() error {
	var failed []string
	for i := range r.Rows {
		if row := &r.Rows[i]; row.Problem != "" {
			failed = append(failed, row.Case+" "+row.System)
		}
	}
	if len(failed) == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d measurements failed: %s", len(failed), len(r.Rows), strings.Join(failed, ", "))
}

// line is a row on one line.
func (r *row) line() string {
	switch {
	case r.Problem != "":
		return fmt.Sprintf("%s: %s FAILED: %s", r.Case, r.System, r.Problem)
	case r.IdleSeconds > 0:
		return fmt.Sprintf("%s: %s: %.0f bytes in %.1f packets per node and minute, over %.0f s; load %.1f", r.Case, r.System, r.IdlePerNode, r.IdlePackets, r.IdleSeconds, r.Load)
	}
	return fmt.Sprintf("%s: %s: bytes %.3f (worst site %.3f), time %.2f (%.2f s); sites in %d, publisher out %d; load %.1f",
		r.Case, r.System, r.BytesRatio, r.WorstRatio, r.TimeRatio, r.Seconds, r.SiteIn[1:], r.SiteOut[publisherSite], r.Load)
}

// writeTables prints markdown: one table of updates, one of idling, and what
// failed.
func (r *report) writeTables(w io.Writer) error {
	var b strings.Builder
	b.WriteString("| case | system | WAN bytes into a site ÷ ideal (worst) | time ÷ ideal | seconds | publisher's bytes out ÷ ideal | CPU s per node | peak MiB of a node | load |\n")
	b.WriteString("| --- | --- | --- | --- | --- | --- | --- | --- | --- |\n")
	for i := range r.Rows {
		row := &r.Rows[i]
		if row.Problem != "" || row.IdleSeconds > 0 {
			continue
		}
		cpu, peak := row.totals()
		mark := ""
		if !row.Ideal.Measured {
			mark = "*"
		}
		fmt.Fprintf(&b, "| %s | %s | %.3f%s (%.3f) | %.2f | %.2f | %.2f | %.2f | %.0f | %.1f |\n", row.Case, row.System,
			row.BytesRatio, mark, row.WorstRatio, row.TimeRatio, row.Seconds, float64(row.SiteOut[publisherSite])/float64(row.Ideal.Bytes), cpu, peak, row.Load)
	}
	b.WriteString("\n| case | system | WAN bytes per node and minute | packets | over | CPU s per node and minute | peak MiB of a node | load |\n")
	b.WriteString("| --- | --- | --- | --- | --- | --- | --- | --- |\n")
	for i := range r.Rows {
		row := &r.Rows[i]
		if row.Problem != "" || row.IdleSeconds == 0 {
			continue
		}
		cpu, peak := row.totals()
		fmt.Fprintf(&b, "| %s | %s | %.0f | %.1f | %.0f s | %.2f | %.0f | %.1f |\n", row.Case, row.System,
			row.IdlePerNode, row.IdlePackets, row.IdleSeconds, cpu*60/row.IdleSeconds, peak, row.Load)
	}
	for i := range r.Rows {
		if row := &r.Rows[i]; row.Problem != "" {
			fmt.Fprintf(&b, "\nFAILED %s %s: %s\n", row.Case, row.System, row.Problem)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// totals returns the mean of the nodes' CPU seconds and the peak of the largest
// in MiB, the publisher's apart.
func (r *row) totals() (cpu, peak float64) {
	if len(r.Use) < 2 {
		return 0, 0
	}
	var sum time.Duration
	for _, u := range r.Use[1:] {
		sum += u.CPU
		peak = max(peak, float64(u.Peak)/(1<<20))
	}
	return sum.Seconds() / float64(len(r.Use)-1), peak
}

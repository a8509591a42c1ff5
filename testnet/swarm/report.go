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

// writeTables prints markdown: updates, what faults cost, idling, and what
// failed.
func (r *report) writeTables(w io.Writer) error {
	var b strings.Builder
	r.updates(&b)
	r.faults(&b)
	r.idling(&b)
	for i := range r.Rows {
		if row := &r.Rows[i]; row.Problem != "" {
			fmt.Fprintf(&b, "\nFAILED %s %s: %s\n", row.Case, row.System, row.Problem)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// rows calls f for those that succeeded and that want is true of, after the
// head of their table if there is any.
func (r *report) rows(b *strings.Builder, head string, want func(*row) bool, f func(*row)) {
	for i := range r.Rows {
		row := &r.Rows[i]
		if row.Problem != "" || !want(row) {
			continue
		}
		if head != "" {
			columns := strings.Count(head, "|") - 1
			fmt.Fprintf(b, "\n%s\n|%s\n", head, strings.Repeat(" --- |", columns))
			head = ""
		}
		f(row)
	}
}

func (r *report) updates(b *strings.Builder) {
	const head = "| case | system | WAN bytes into a site ÷ ideal (worst site) | time ÷ ideal | seconds | publisher's bytes out ÷ ideal | duplicates | CPU s of a node | peak MiB of a node | load |"
	r.rows(b, head, func(row *row) bool { return row.IdleSeconds == 0 }, func(row *row) {
		t := row.totals()
		fmt.Fprintf(b, "| %s | %s | %.3f%s (%.3f)%s | %.2f%s | %.2f | %.2f | %s | %.2f | %.0f | %.1f |\n", row.Case, row.System,
			row.BytesRatio, row.Ideal.mark(), row.WorstRatio, row.goal(row.Target.Bytes, "%.2f"), row.TimeRatio, row.goal(row.Target.Time, "%.2f"),
			row.Seconds, float64(row.SiteOut[publisherSite])/float64(row.Ideal.Bytes), t.duplicates(), t.cpu, t.peak, row.Load)
	})
}

func (r *report) faults(b *strings.Builder) {
	const head = "| case | system | WAN bytes into a site ÷ without faults | time once in contact ÷ without faults |"
	r.rows(b, head, func(row *row) bool { return r.without(row) != nil }, func(row *row) {
		base := r.without(row)
		fmt.Fprintf(b, "| %s | %s | %.3f%s | %.3f%s |\n", row.Case, row.System, row.BytesRatio/base.BytesRatio, row.goal(row.Target.Fault, "%.2f"),
			row.Seconds/base.Seconds, row.goal(row.Target.Fault, "%.2f"))
	})
}

// without returns the row of the same without faults, nil if there is none.
func (r *report) without(of *row) *row {
	for i := range r.Rows {
		if row := &r.Rows[i]; of.Baseline != "" && row.Case == of.Baseline && row.System == of.System && row.Run == of.Run && row.Problem == "" {
			return row
		}
	}
	return nil
}

func (r *report) idling(b *strings.Builder) {
	const head = "| case | system | WAN bytes of a node and minute | packets | over | CPU s of a node and minute | peak MiB of a node | load |"
	r.rows(b, head, func(row *row) bool { return row.IdleSeconds > 0 }, func(row *row) {
		t := row.totals()
		fmt.Fprintf(b, "| %s | %s | %.0f%s | %.1f | %.0f s | %.2f | %.0f | %.1f |\n", row.Case, row.System, row.IdlePerNode,
			row.goal(row.Target.Idle, "%.0f"), row.IdlePackets, row.IdleSeconds, t.cpu*60/row.IdleSeconds, t.peak, row.Load)
	})
}

// goal is what a figure must reach, for our rows.
func (r *row) goal(target float64, format string) string {
	if target == 0 || r.System != dunlinName {
		return ""
	}
	return " ≤ " + fmt.Sprintf(format, target)
}

// mark tells ideals that are of earlier runs.
func (i ideal) mark() string {
	if i.Measured {
		return ""
	}
	return "*"
}

// totals are over the nodes, the publisher's apart.
type totals struct {
	cpu             float64 // mean, in seconds
	peak            float64 // of the largest, in MiB
	came, duplicate int64
}

func (r *row) totals() (t totals) {
	if len(r.Use) < 2 {
		return t
	}
	var sum time.Duration
	for _, u := range r.Use[1:] {
		sum += u.CPU
		t.peak = max(t.peak, float64(u.Peak)/(1<<20))
		t.came, t.duplicate = t.came+u.Came, t.duplicate+u.Duplicates
	}
	t.cpu = sum.Seconds() / float64(len(r.Use)-1)
	return t
}

// duplicates is their share of what came, in percent; - if nobody counts them.
func (t totals) duplicates() string {
	if t.came == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f %%", 100*float64(t.duplicate)/float64(t.came))
}

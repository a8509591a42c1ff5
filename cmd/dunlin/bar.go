package main

import (
	"io"
	"os"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/dunlin-mesh/dunlin/node/api"
)

// bar shows progress on a terminal, and nothing elsewhere.
type bar struct {
	out  io.Writer // nil off a terminal
	what string
	bar  *progressbar.ProgressBar
}

func newBar(stderr io.Writer) *bar {
	if f, ok := stderr.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return &bar{out: stderr}
	}
	return &bar{}
}

// show draws one progress event.
func (b *bar) show(p api.Progress) {
	if b.out == nil {
		return
	}
	total := p.Total
	if total <= 0 {
		total = -1 // a spinner
	}
	if b.bar == nil || b.what != p.What {
		b.finish()
		b.what = p.What
		b.bar = progressbar.NewOptions64(total,
			progressbar.OptionSetWriter(b.out), progressbar.OptionSetDescription(p.What),
			progressbar.OptionShowBytes(true), progressbar.OptionSetWidth(30),
			progressbar.OptionClearOnFinish(), progressbar.OptionThrottle(65e6))
	}
	if total > 0 && b.bar.GetMax64() != total {
		b.bar.ChangeMax64(total)
	}
	// A bar that cannot be drawn is no reason to stop the work it shows.
	_ = b.bar.Set64(p.Done)
}

func (b *bar) finish() {
	if b.bar != nil {
		_ = b.bar.Finish()
		b.bar = nil
	}
}

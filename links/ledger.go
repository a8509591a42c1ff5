package links

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/dunlin-mesh/dunlin/internal/durable"
)

// How far the file is ahead of what passed: as much as keeps writes a good
// second apart, within these bounds.
const (
	leastAhead = 16 << 10
	mostAhead  = 256 << 20
	writeApart = 2 * time.Second
	maxNames   = 64
	maxLedger  = 1 << 20 // bytes of the file
)

// ErrLedger says that the file of what links carried cannot be read or written.
// Nothing passes over links with a budget then.
var ErrLedger = errors.New("ledger of links")

// ledger keeps what each link carried. Safe for concurrent use.
type ledger struct {
	path string
	now  func() time.Time

	mu      sync.Mutex // owns the rest
	entries map[string]*entry
	failed  error // why the file was not written the last time
}

// entry is the account of one link.
type entry struct {
	account
	ahead   int64     // how much more than account the file says, at least 0
	step    int64     // how far to go ahead the next time
	turned  bool      // to a date that the file does not know as the last one
	written time.Time // when the file was written for this link
}

// ledgerFile is the file.
type ledgerFile struct {
	Version int                `json:"version"`
	Links   map[string]account `json:"links"`
}

// openLedger reads the file; without one nothing has passed.
func openLedger(path string, now func() time.Time) (*ledger, error) {
	l := &ledger{path: path, now: now, entries: make(map[string]*entry)}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return l, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrLedger, err)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxLedger+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrLedger, err)
	}
	file, err := decodeLedger(data)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w: move it away, and the budgets of this day and month begin anew", ErrLedger, path, err)
	}
	for name, a := range file.Links {
		l.entries[name] = &entry{account: a.clone(), step: leastAhead}
	}
	return l, nil
}

// decodeLedger reads the file strictly.
func decodeLedger(data []byte) (ledgerFile, error) {
	var file ledgerFile
	if len(data) > maxLedger {
		return file, fmt.Errorf("more than %d bytes", maxLedger)
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&file); err != nil {
		return file, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return file, errors.New("something follows its end")
	}
	if file.Version != 1 {
		return file, fmt.Errorf("version %d, want 1", file.Version)
	}
	if len(file.Links) > maxNames {
		return file, fmt.Errorf("%d links, at most %d", len(file.Links), maxNames)
	}
	for name, a := range file.Links {
		if !validName(name) {
			return file, fmt.Errorf("link of the name %.40q", name)
		}
		if err := errors.Join(a.Days.check(dayForm, keptDays), a.Months.check(monthForm, keptMonths),
			a.ControlDays.check(dayForm, keptDays), a.ControlMonths.check(monthForm, keptMonths)); err != nil {
			return file, fmt.Errorf("link %s: %w", name, err)
		}
	}
	return file, nil
}

// check refuses figures that no ledger wrote.
func (p period) check(form string, keep int) error {
	if len(p.Bytes) > keep+1 {
		return fmt.Errorf("%d dates, at most %d", len(p.Bytes), keep+1)
	}
	if _, ok := p.Bytes[p.Last]; !ok && (p.Last != "" || len(p.Bytes) > 0) {
		return fmt.Errorf("nothing of its last date %.20q", p.Last)
	}
	for date, n := range p.Bytes {
		if t, err := time.Parse(form, date); err != nil || t.Format(form) != date || n < 0 || n > 1<<62 {
			return fmt.Errorf("%d bytes on %.20q", n, date)
		}
	}
	return nil
}

// control returns what of [ledger.spent] was control traffic.
func (l *ledger) control(name string, now time.Time) (day, month int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e := l.entries[name]; e != nil {
		return e.ControlDays.at(now.Format(dayForm)), e.ControlMonths.at(now.Format(monthForm))
	}
	return 0, 0
}

// spent returns what counts as spent on the day and in the month of now.
func (l *ledger) spent(name string, now time.Time) (day, month int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e := l.entries[name]; e != nil {
		return e.Days.at(now.Format(dayForm)), e.Months.at(now.Format(monthForm))
	}
	return 0, 0
}

// take counts up to n bytes of data, no more than the bounds of the day and the month
// (0 for none) allow unless force is set, and returns how many it counted. The
// file says so before take returns, or there is an error; without force nothing
// is counted against a budget then.
func (l *ledger) take(name string, n, day, month int64, force bool) (int64, error) {
	return l.count(name, n, day, month, force, false)
}

// charge counts n bytes of control traffic that have passed, whatever the bounds
// are. The file says so when charge returns, or there is an error.
func (l *ledger) charge(name string, n, day, month int64) error {
	_, err := l.count(name, n, day, month, true, true)
	return err
}

func (l *ledger) count(name string, n, day, month int64, force, control bool) (int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.entries[name]
	if e == nil {
		e = &entry{step: leastAhead}
		l.entries[name] = e
	}
	now := l.now()
	if date := now.Format(dayForm); date != e.Days.Last || now.Format(monthForm) != e.Months.Last {
		e.turn(now)
		e.ahead, e.turned = 0, true
	}
	left := min(leftOf(day, e.Days), leftOf(month, e.Months))
	if !force {
		n = min(n, left)
	}
	var err error
	if n > e.ahead || e.turned { // what a date begins with is written, too
		err = l.advance(e, n, lesser(day, month), left)
		if err != nil && !force && lesser(day, month) > 0 {
			return 0, err
		}
	}
	if control {
		e.add(n, n)
	} else {
		e.add(n, 0)
	}
	e.ahead = max(e.ahead-n, 0)
	return n, err
}

// advance makes the file say at least n bytes more than passed, and beyond that
// no more than is left. One that cannot be written is tried again after a
// moment.
func (l *ledger) advance(e *entry, n, budget, left int64) error {
	now := time.Now()
	if l.failed != nil && now.Sub(e.written) < writeApart {
		return l.failed
	}
	e.pace(n, budget, now)
	ahead := max(n, min(n+e.step, left))
	if l.failed = l.write(e, ahead); l.failed == nil {
		e.ahead, e.turned = ahead, false
	}
	return l.failed
}

func leftOf(bound int64, p period) int64 {
	if bound == 0 {
		return 1 << 62
	}
	return max(bound-p.Bytes[p.Last], 0)
}

// lesser returns the smaller one of two bounds, of which 0 is none.
func lesser(a, b int64) int64 {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// pace chooses how far to go ahead: further if the last time was a moment ago.
func (e *entry) pace(n, budget int64, now time.Time) {
	switch since := now.Sub(e.written); {
	case since < writeApart:
		e.step = min(2*max(e.step, n), mostAhead)
	case since > 4*writeApart:
		e.step = max(e.step/2, leastAhead)
	}
	if budget > 0 {
		e.step = min(e.step, max(budget/64, leastAhead))
	}
	e.written = now
}

// write makes the file say of e that more bytes passed than did, and of all
// others as much as it says already; the caller holds mu.
func (l *ledger) write(e *entry, more int64) error {
	for len(l.entries) > maxNames {
		l.forget(e)
	}
	file := ledgerFile{Version: 1, Links: make(map[string]account, len(l.entries))}
	for name, o := range l.entries {
		if o.Days.Last == "" {
			continue // nothing ever passed
		}
		a := o.clone()
		if ahead := o.ahead; o == e {
			a.add(more, 0)
		} else if ahead > 0 {
			a.add(ahead, 0)
		}
		file.Links[name] = a
	}
	data, err := json.Marshal(file)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrLedger, err)
	}
	if err := durable.WriteFile(l.path, append(data, '\n'), 0o600); err != nil {
		return fmt.Errorf("%w: %w", ErrLedger, err)
	}
	return nil
}

// forget drops the account that was used longest ago.
func (l *ledger) forget(but *entry) {
	var names []string
	for name, e := range l.entries {
		if e != but {
			names = append(names, name)
		}
	}
	victim := slices.MinFunc(names, func(a, b string) int { return l.entries[a].latest(&l.entries[b].account) })
	delete(l.entries, victim)
}

// flush makes the file exact.
func (l *ledger) flush() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	used := false
	for _, e := range l.entries {
		used = used || !e.written.IsZero() || e.turned
		e.ahead = 0
	}
	if !used {
		return nil
	}
	return l.write(nil, 0)
}

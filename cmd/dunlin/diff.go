package main

import (
	"io"
	"runtime/debug"
	"time"

	"github.com/dunlin-mesh/dunlin/delta"
)

type diffCmd struct {
	Old    string   `arg:"" help:"What is here: a file, a folder, or a release (MODEL@VERSION, or MODEL for the active or newest one)."`
	New    string   `arg:"" help:"What it becomes: the same."`
	Rate   []string `help:"Rate of a link in bit/s, such as 2400, 64k or 1.5M; again for several." default:"64k,1M,10M" placeholder:"RATE"`
	Effort string   `help:"How hard to try: strong for the fewest bytes at some MB/s, fast for hundreds of MB/s." default:"strong" enum:"strong,fast"`
	DType  string   `name:"dtype" help:"Element type of files without any structure, such as f16 or i16; recognised if not given." placeholder:"TYPE"`
	All    bool     `help:"Show every tensor and every file, in the order of the files."`
}

// Help is the second part of `dunlin diff --help`.
func (diffCmd) Help() string {
	return `What an update costs: which tensors change, how many bytes that takes and in which encoding, and how long it is under
way. Deltas are made, applied and compared to say so; nothing is sent or kept. A path that is there goes before a release
of that name; releases are those that this node holds whole. Files of folders and releases are compared by their path;
two single files whatever they are called. Times of links are of the transfer alone. In JSON, tensors without a name are
the bytes between tensors, and sums are of what packed files hold.

Examples:
  dunlin diff vad-6.0.onnx vad-6.2.onnx
  dunlin diff acme/vad ./candidate.onnx --rate 2400 --rate 64k
  dunlin diff acme/vad@6.0.0 acme/vad@6.2.0 --all
  dunlin diff old/ new/ --effort fast --json | jq '.full_bytes, .delta_bytes'

Exit codes: 0 done, the same or not; 1 failed, 2 wrong usage, 3 a delta did not give the new file, 4 no such release is
here, or interrupted; 5 no room for temporary files (in $TMPDIR).`
}

// Run compares.
func (c diffCmd) Run(e *env) error {
	opt := delta.Options{Effort: efforts[c.Effort], Temp: e.getenv("TMPDIR")}
	var err error
	if opt.DType, err = parseDType(c.DType); err != nil {
		return err
	}
	rates, err := parseRates(c.Rate)
	if err != nil {
		return err
	}
	var sides [2]side
	for i, what := range []string{c.Old, c.New} {
		if sides[i], err = findSide(e, what); err != nil {
			return err
		}
	}
	// The home is not needed any more; others may be waiting for it.
	if err := e.close(); err != nil {
		return err
	}
	e.local = nil
	pairs, err := pairFiles(e, sides[0], sides[1])
	if err != nil {
		return err
	}
	defer frugal()()
	debug.FreeOSMemory()
	r := newDiffResult(sides[0], sides[1], c.Effort)
	for _, p := range pairs {
		one, err := p.measure(e, opt)
		if err != nil {
			return deltaError(err)
		}
		r.add(one)
	}
	r.estimate(rates)
	return e.print(r, func(w io.Writer) { r.write(w, c.All) })
}

// The states of a file.
const (
	fileSame    = "same"
	fileChanged = "changed"
	fileRenamed = "renamed" // the bytes of an old file of another name
	fileNew     = "new"
	fileRemoved = "removed"
)

// diffResult is what `dunlin diff` answers.
type diffResult struct {
	Old           string                   `json:"old"`
	New           string                   `json:"new"`
	Effort        string                   `json:"effort"`
	OldBytes      int64                    `json:"old_bytes"`
	FullBytes     int64                    `json:"full_bytes"`
	DeltaBytes    int64                    `json:"delta_bytes"`
	SecondsEncode float64                  `json:"seconds_encode"`
	SecondsDecode float64                  `json:"seconds_decode"`
	Files         []diffFile               `json:"files"`
	Tensors       []diffTensor             `json:"tensors"`
	Encodings     map[string]*diffEncoding `json:"encodings"`
	Rates         []diffRate               `json:"rates"`
}

// diffFile is a file of either side.
type diffFile struct {
	Name       string `json:"name"`
	State      string `json:"state"`
	From       string `json:"from,omitempty"` // the old file, where it has another name
	OldBytes   int64  `json:"old_bytes"`
	FullBytes  int64  `json:"full_bytes"`
	DeltaBytes int64  `json:"delta_bytes"`
}

// diffTensor is a tensor of a new file that is not the same as a whole, or a run
// of bytes between tensors.
type diffTensor struct {
	File  string   `json:"file"`
	Shape []uint64 `json:"shape,omitempty"`
	delta.Part
}

// diffEncoding sums up what one encoding carries.
type diffEncoding struct {
	Bytes      int64 `json:"bytes"`
	DeltaBytes int64 `json:"delta_bytes"`
}

// diffRate says how long a link is busy.
type diffRate struct {
	BitsPerSecond int64   `json:"bits_per_second"`
	FullSeconds   float64 `json:"full_seconds"`
	DeltaSeconds  float64 `json:"delta_seconds"`
}

func newDiffResult(old, next side, effort string) *diffResult {
	return &diffResult{
		Old: old.label, New: next.label, Effort: effort, OldBytes: old.bytes(), FullBytes: next.bytes(),
		Files: []diffFile{}, Tensors: []diffTensor{}, Encodings: map[string]*diffEncoding{}, Rates: []diffRate{},
	}
}

// Encodings that are none of package delta's.
const (
	encodingSame = "identical" // as package delta calls it
	encodingPlan = "plan"      // headers, and how the new file is put together
)

// add takes up what was measured of a file.
func (r *diffResult) add(m measured) {
	r.Files = append(r.Files, m.file)
	r.DeltaBytes += m.file.DeltaBytes
	r.SecondsEncode += m.encode.Seconds()
	r.SecondsDecode += m.decode.Seconds()
	if m.file.State == fileSame || m.file.State == fileRenamed {
		r.encoding(encodingSame).Bytes += m.file.FullBytes
	}
	plan := m.file.DeltaBytes
	for _, t := range m.tensors {
		sum := r.encoding(t.Encoding)
		sum.Bytes += t.Bytes
		sum.DeltaBytes += t.Coded
		plan -= t.Coded
	}
	if plan > 0 {
		r.encoding(encodingPlan).DeltaBytes += plan
	}
	r.Tensors = append(r.Tensors, m.tensors...)
}

func (r *diffResult) encoding(name string) *diffEncoding {
	if r.Encodings[name] == nil {
		r.Encodings[name] = &diffEncoding{}
	}
	return r.Encodings[name]
}

// estimate fills in the times of links.
func (r *diffResult) estimate(rates []int64) {
	for _, rate := range rates {
		r.Rates = append(r.Rates, diffRate{rate, 8 * float64(r.FullBytes) / float64(rate), 8 * float64(r.DeltaBytes) / float64(rate)})
	}
}

// measured is what a file's delta takes.
type measured struct {
	file           diffFile
	tensors        []diffTensor
	encode, decode time.Duration
}

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/dunlin-mesh/dunlin/codec"
	"github.com/dunlin-mesh/dunlin/delta"
	"github.com/dunlin-mesh/dunlin/manifest"
	"github.com/dunlin-mesh/dunlin/node/api"
)

type deltaCmd struct {
	Encode deltaEncodeCmd `cmd:"" help:"Write the delta that makes one file from another."`
	Decode deltaDecodeCmd `cmd:"" help:"Make a file from an older one and a delta."`
}

type deltaEncodeCmd struct {
	Old    string `arg:"" help:"File that the other side holds; /dev/null if it holds nothing."`
	New    string `arg:"" help:"File that it shall get."`
	Out    string `arg:"" help:"Delta to write; '-' for standard output."`
	Effort string `help:"How hard to try: strong for the fewest bytes at some MB/s, fast for hundreds of MB/s." default:"strong" enum:"strong,fast"`
	DType  string `name:"dtype" help:"Element type of files without any structure, such as f16 or i16; recognised if not given." placeholder:"TYPE"`
	LoRA   string `name:"lora" help:"LoRA adapter that was merged into NEW, in safetensors: it makes the delta smaller, and decoding needs it not." placeholder:"FILE"`
}

// Help is the second part of `dunlin delta encode --help`.
func (deltaEncodeCmd) Help() string {
	return `Needs no node and no home. OLD and NEW are single files (for folders and releases see 'dunlin diff'). The same two
files give the same delta each time on machines of one architecture. OUT appears whole or not at all; an input is never overwritten. Memory stays
under 128 MiB, whatever the size of the files; what packed files hold is unpacked to the folder of OUT, or to $TMPDIR.

Examples:
  dunlin delta encode vad-6.0.onnx vad-6.2.onnx vad.delta
  dunlin delta encode old.nn new.nn update.delta --dtype i16
  dunlin delta encode base.safetensors merged.safetensors update.delta --lora adapter_model.safetensors
  dunlin delta encode old.bin new.bin - --effort fast | ssh ship 'dunlin delta decode old.bin - new.bin'

Exit codes: 0 done, 1 failed, 2 wrong usage, 4 interrupted, 5 no room on disk.`
}

// deltaResult is what `dunlin delta encode` and `dunlin delta decode` answer.
type deltaResult struct {
	OldBytes      int64   `json:"old_bytes"`
	FullBytes     int64   `json:"full_bytes"`
	DeltaBytes    int64   `json:"delta_bytes"`
	SecondsEncode float64 `json:"seconds_encode,omitempty"`
	SecondsDecode float64 `json:"seconds_decode,omitempty"`
}

// Run writes a delta.
func (c deltaEncodeCmd) Run(e *env) (err error) {
	opt := delta.Options{Effort: efforts[c.Effort], Temp: tempBeside(e, c.Out)}
	if opt.DType, err = parseDType(c.DType); err != nil {
		return err
	}
	paths := []string{c.Old, c.New}
	if c.LoRA != "" {
		paths = append(paths, c.LoRA)
	}
	in, err := openInputs(paths...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	out, err := newOutput(e, c.Out, in)
	if err != nil {
		return err
	}
	defer frugal()()
	start := time.Now()
	m := newMeter(e.stderr, "encoding")
	defer m.finish()
	opt.Progress = m.show
	if c.LoRA != "" {
		adapter := in[2].version(m)
		opt.Adapter = &adapter
	}
	var report delta.Report
	err = out.write(func(w io.Writer) error {
		var err error
		report, err = delta.Encode(e, in[0].version(m), in[1].version(m), w, opt)
		return errors.Join(err, in.unchanged())
	})
	if err != nil {
		return deltaError(err)
	}
	took := time.Since(start)
	m.finish()
	if out.path == standard {
		return nil
	}
	r := deltaResult{
		OldBytes: report.OldBytes, FullBytes: report.NewBytes, DeltaBytes: report.DeltaBytes, SecondsEncode: took.Seconds(),
	}
	return e.print(r, func(w io.Writer) {
		fmt.Fprintf(w, "wrote %s: %s for a file of %s (%s) in %s\n",
			c.Out, size(uint64(r.DeltaBytes)), size(uint64(r.FullBytes)), percent(r.DeltaBytes, r.FullBytes), span(took))
	})
}

type deltaDecodeCmd struct {
	Old   string `arg:"" help:"File that the delta was made against."`
	Delta string `arg:"" help:"Delta; '-' for standard input."`
	Out   string `arg:"" help:"File to write."`
}

// Help is the second part of `dunlin delta decode --help`.
func (deltaDecodeCmd) Help() string {
	return `Needs no node and no home. OUT appears once the result has the digest that the delta names, or not at all; an input
is never overwritten. Memory stays under 128 MiB, whatever the size of the files.

Examples:
  dunlin delta decode vad-6.0.onnx vad.delta vad-6.2.onnx
  curl -s https://models.example/vad.delta | dunlin delta decode vad-6.0.onnx - vad-6.2.onnx

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 the delta is damaged or for another old file, 4 interrupted,
5 no room on disk.`
}

// Run makes the new file.
func (c deltaDecodeCmd) Run(e *env) (err error) {
	if c.Out == standard {
		return api.Errorf(api.CodeUsage, "OUT must be a file: what is decoded counts only once the whole of it has been verified")
	}
	in, err := openInputs(c.Old)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	from := &counted{r: e.stdin}
	if c.Delta != standard {
		file, err := openInput(c.Delta)
		if err != nil {
			return err
		}
		in = append(in, file)
		from.r = file.f
	}
	out, err := newOutput(e, c.Out, in)
	if err != nil {
		return err
	}
	defer frugal()()
	start := time.Now()
	m := newMeter(e.stderr, "decoding")
	defer m.finish()
	opt := delta.Options{Temp: tempBeside(e, c.Out), Progress: m.show}
	made := &counted{}
	err = out.write(func(w io.Writer) error {
		made.w = w
		// Decode goes on with a reader that buffers as much as its own would, so
		// what follows the delta is still there.
		r := bufio.NewReaderSize(from, 64<<10)
		if err := delta.Decode(e, in[0].version(m), r, made, opt); err != nil {
			return err
		}
		if _, err := r.ReadByte(); !errors.Is(err, io.EOF) {
			return errors.Join(fmt.Errorf("%w: bytes follow its end", delta.ErrDelta), err)
		}
		return in.unchanged()
	})
	if err != nil {
		return deltaError(err)
	}
	took := time.Since(start)
	m.finish()
	r := deltaResult{OldBytes: in[0].info.Size(), FullBytes: made.n, DeltaBytes: from.n, SecondsDecode: took.Seconds()}
	return e.print(r, func(w io.Writer) {
		fmt.Fprintf(w, "wrote %s: %s from a delta of %s (%s) in %s, verified\n",
			c.Out, size(uint64(r.FullBytes)), size(uint64(r.DeltaBytes)), percent(r.DeltaBytes, r.FullBytes), span(took))
	})
}

// efforts are the words of --effort.
var efforts = map[string]codec.Effort{"strong": codec.Strong, "fast": codec.Fast}

// parseDType reads --dtype; empty stays empty.
func parseDType(text string) (manifest.DType, error) {
	d := manifest.DType(text)
	if text != "" && d.Bits() == 0 {
		return "", api.Errorf(api.CodeUsage, "--dtype %.40q is no plain element type: use one such as f32, f16, bf16, i16 or i8", text)
	}
	return d, nil
}

// tempBeside returns where temporary files go that are needed to write out:
// where there must be room anyway, unless the user says otherwise.
func tempBeside(e *env, out string) string {
	if dir := e.getenv("TMPDIR"); dir != "" || out == standard {
		return dir
	}
	return filepath.Dir(out)
}

package profile

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/dunlin-mesh/dunlin/internal/excerpt"
	modelrt "github.com/dunlin-mesh/dunlin/runtime"
	"github.com/dunlin-mesh/dunlin/runtime/limit"
)

// Config says how to measure.
type Config struct {
	// Dir is the folder of profile.json, made where it is missing; its disk is
	// the one that the profile tells of. Required.
	Dir string
	// Engine is the runtime to try. Where it has a Reason, no provider is usable
	// and that is why.
	Engine modelrt.Info
	// Providers to try. Default: all that have a name.
	Providers []modelrt.Provider
	// Executable is the program that runs children, with "runtime-probe" and
	// "runtime-measure". Default: this program.
	Executable string
	// Fresh tries and measures again, whatever is kept.
	Fresh bool
	// NoSpeed leaves the measuring out where no figures are kept: providers are
	// tried all the same.
	NoSpeed bool
	// Timeout bounds each child. Default: 30 seconds.
	Timeout time.Duration
}

// maxAnswer bounds what a measuring child says.
const maxAnswer = 64 << 10

// maxReasonBytes bounds the reason of a provider; libraries tell their whole
// stack.
const maxReasonBytes = 400

// Measure reads the machine, tries its providers and measures them; see the
// package comment for what is kept. The error says that the machine cannot be
// read, or that ctx ended; a provider that does not work is no error. A profile
// that cannot be kept is returned with an error as well.
func Measure(ctx context.Context, cfg Config) (Profile, error) {
	if cfg.Timeout == 0 {
		cfg.Timeout = 30 * time.Second
	}
	if cfg.Providers == nil {
		cfg.Providers = modelrt.Providers()
	}
	if cfg.Executable == "" {
		exe, err := os.Executable()
		if err != nil {
			return Profile{}, fmt.Errorf("profile: find this program: %w", err)
		}
		cfg.Executable = exe
	}
	p, err := Machine(ctx, cfg.Dir, cfg.Engine)
	if err != nil {
		return Profile{}, err
	}
	if cfg.Engine.Reason != "" {
		for _, name := range cfg.Providers {
			p.Providers = append(p.Providers, Provider{Name: name, Reason: cfg.Engine.Reason})
		}
		return p, nil
	}
	key := keyOf(p)
	kept, ok := readKept(cfg.Dir, key)
	if ok && !cfg.Fresh && kept.has(cfg) {
		return kept.into(p), nil
	}
	if err := try(ctx, cfg, &p); err != nil {
		return Profile{}, err
	}
	return p, keep(cfg.Dir, key, p)
}

// try tries and measures all providers.
func try(ctx context.Context, cfg Config, p *Profile) (err error) {
	dir, err := writeTemporary()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	for _, name := range cfg.Providers {
		found := Provider{Name: name}
		prober, err := modelrt.NewProber(modelrt.ProberConfig{
			Executable: cfg.Executable, Provider: name, Timeout: cfg.Timeout, Env: environment(cfg.Engine),
		})
		if err != nil {
			return err
		}
		_, why := prober.Probe(ctx, modelrt.Trial{Path: filepath.Join(dir, tinyFile)})
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if why != nil {
			found.Reason = reason(why, dir)
			p.Providers = append(p.Providers, found)
			continue
		}
		found.Usable, found.Class = true, p.Class(name)
		if !cfg.NoSpeed {
			found.Speed, found.Reason = measureProvider(ctx, cfg, name, dir)
			if ctx.Err() != nil {
				return ctx.Err()
			}
		}
		p.Providers = append(p.Providers, found)
	}
	if !cfg.NoSpeed {
		if m, err := measureInChild(ctx, cfg, modelrt.CPU, measureMemory); err == nil {
			p.BandwidthBytes = m.BandwidthBytes
		}
	}
	p.MeasuredAt = time.Now().UTC().Truncate(time.Second)
	return ctx.Err()
}

// environment has the child open the very library that is meant.
func environment(engine modelrt.Info) []string {
	return []string{"DUNLIN_ONNXRUNTIME=" + engine.LibraryPath}
}

// measureProvider measures one provider, each model in a process of its own:
// what crashes one figure leaves the others. It returns why some are 0.
func measureProvider(ctx context.Context, cfg Config, name modelrt.Provider, dir string) (*Speed, string) {
	speed, why := new(Speed), ""
	for _, j := range jobs() {
		m, err := measureInChild(ctx, cfg, name, filepath.Join(dir, j.file))
		switch {
		case err == nil && m.Seconds > 0:
			*j.at(speed) = j.operations / m.Seconds
		case err != nil && why == "":
			why = strings.TrimSuffix(j.file, ".onnx") + ": " + reason(err, dir)
		}
	}
	return speed, why
}

// measureInChild measures one model, or memory, in another process.
func measureInChild(ctx context.Context, cfg Config, name modelrt.Provider, what string) (measured, error) {
	ctx, cancel := context.WithTimeout(ctx, cfg.Timeout)
	defer cancel()
	var out bytes.Buffer
	said := excerpt.New(2 << 10)
	cmd := exec.CommandContext(ctx, cfg.Executable, MeasureArgument, "-provider", string(name), what)
	cmd.Env = append(limit.Environ(), environment(cfg.Engine)...)
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &bounded{to: &out, left: maxAnswer}, said, 2*time.Second
	if err := limit.Run(cmd, limit.Limits{}); err != nil {
		return measured{}, fmt.Errorf("measure %s: %w%s", name, err, said.Said())
	}
	var m measured
	if err := json.Unmarshal(out.Bytes(), &m); err != nil {
		return measured{}, fmt.Errorf("measure %s: %w", name, err)
	}
	for _, v := range []float64{m.BandwidthBytes, m.Seconds} {
		if v < 0 || math.IsInf(v, 0) || math.IsNaN(v) {
			return measured{}, fmt.Errorf("measure %s: %v is no figure", name, v)
		}
	}
	return m, nil
}

// bounded refuses more than left bytes.
type bounded struct {
	to   *bytes.Buffer
	left int
}

func (b *bounded) Write(p []byte) (int, error) {
	if len(p) > b.left {
		return 0, errors.New("the child says too much")
	}
	b.left -= len(p)
	return b.to.Write(p)
}

// reason is why a provider cannot be used, in one line without the names of
// temporary files.
func reason(err error, dir string) string {
	text := strings.Join(strings.Fields(err.Error()), " ")
	text = strings.ReplaceAll(text, "load "+filepath.Join(dir, tinyFile)+": ", "")
	text = strings.ReplaceAll(text, filepath.Join(dir, tinyFile)+": ", "")
	if _, after, ok := strings.Cut(text, modelrt.ErrProvider.Error()+": found in a child process: "); ok {
		text = after
	}
	if _, after, ok := strings.Cut(text, "ExecutionProvider: "+modelrt.ErrProvider.Error()+": "); ok {
		text = after
	}
	if len(text) > maxReasonBytes {
		text = strings.ToValidUTF8(text[:maxReasonBytes], "") + "..."
	}
	return text
}

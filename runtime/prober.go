package runtime

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/dunlin-mesh/dunlin/internal/excerpt"
	"github.com/dunlin-mesh/dunlin/runtime/limit"
)

// ProbeArgument is the hidden first argument with which a program is started
// to be the child of a probe; ProbeMain is what it must run then, with the
// rest of its arguments.
const ProbeArgument = "runtime-probe"

// ProberConfig configures the child processes of [NewProber].
type ProberConfig struct {
	// Executable is the absolute path of the program to start with the
	// arguments "runtime-probe [-provider NAME] [-cache DIR] PATH [GOLDEN]". Default: this
	// program.
	Executable string
	// Provider is the execution provider that the child loads with; default CPU.
	Provider Provider
	// CacheDir is the folder for what the provider compiles, so that what the
	// child compiled need not be compiled again. Default: no cache.
	CacheDir string
	// Env holds further KEY=VALUE settings for the child, which otherwise gets
	// only PATH, HOME, TMPDIR, LANG and the loader's library paths. The node
	// passes DUNLIN_ONNXRUNTIME here, so that the child tries the very library
	// that the node will use.
	Env []string
	// Timeout bounds one probe, after which the child is killed.
	// Default: 2 minutes.
	Timeout time.Duration
	// Limits bound the child's memory and its share of the processor. Default:
	// none but the kernel's, which ends the child before this process.
	Limits limit.Limits
	// MaxStderrBytes bounds what is kept of the child's standard error, half of
	// it from the beginning and half from the end. Default: 2 KiB.
	MaxStderrBytes int
}

// NewProber returns a Prober that starts a child process per probe.
func NewProber(cfg ProberConfig) (Prober, error) {
	if cfg.Executable == "" {
		exe, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("prober config: find this program: %w", err)
		}
		cfg.Executable = exe
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 2 * time.Minute
	}
	if cfg.MaxStderrBytes == 0 {
		cfg.MaxStderrBytes = 2 << 10
	}
	var errs []error
	if !filepath.IsAbs(cfg.Executable) {
		errs = append(errs, fmt.Errorf("executable %q is not an absolute path", cfg.Executable))
	}
	if cfg.Timeout < 0 {
		errs = append(errs, fmt.Errorf("negative timeout %s", cfg.Timeout))
	}
	if cfg.MaxStderrBytes < 256 || cfg.MaxStderrBytes > 1<<20 {
		errs = append(errs, fmt.Errorf("max stderr of %d bytes is not within 256 and 1048576", cfg.MaxStderrBytes))
	}
	if err := errors.Join(append(errs, cfg.Limits.Validate())...); err != nil {
		return nil, fmt.Errorf("prober config: %w", err)
	}
	return &childProber{cfg: cfg}, nil
}

type childProber struct{ cfg ProberConfig }

// drainTime is how long a killed child's output is waited for.
const drainTime = 2 * time.Second

// arguments are those of the child.
func (p *childProber) arguments(t Trial) []string {
	args := []string{ProbeArgument}
	if p.cfg.Provider != "" {
		args = append(args, "-provider", string(p.cfg.Provider))
	}
	if p.cfg.CacheDir != "" {
		args = append(args, "-cache", p.cfg.CacheDir)
	}
	args = append(args, t.Path)
	if t.Golden != "" {
		args = append(args, t.Golden)
	}
	return args
}

// errKilled: something other than this process killed the child, which is what
// the kernel does where memory runs out.
var errKilled = errors.New("killed from outside, perhaps because memory ran out")

func (p *childProber) Probe(ctx context.Context, t Trial) (Report, error) {
	limited, cancel := context.WithTimeout(ctx, p.cfg.Timeout)
	defer cancel()
	stdout, stderr := &bounded{limit: maxReportBytes}, excerpt.New(p.cfg.MaxStderrBytes)
	cmd := exec.CommandContext(limited, p.cfg.Executable, p.arguments(t)...)
	cmd.Env = append(limit.Environ(), p.cfg.Env...)
	cmd.Stdout, cmd.Stderr = stdout, stderr
	cmd.WaitDelay = drainTime
	err := limit.Run(cmd, p.cfg.Limits)
	var report Report
	if len(stdout.kept) > 0 {
		var bad error
		if report, bad = decodeReport(stdout.kept); bad != nil && err == nil {
			err = fmt.Errorf("%w: %w", ErrProbe, bad)
		}
	}
	report.Stderr, report.PeakBytes = stderr.String(), peakBytes(cmd.ProcessState)
	return report, p.explain(ctx, limited, t, err, cmd.ProcessState, stderr.Said())
}

// explain says what it means that the child ended with err.
func (p *childProber) explain(ctx, limited context.Context, t Trial, err error, state *os.ProcessState, said string) error {
	_, exited := errors.AsType[*exec.ExitError](err)
	switch {
	case err == nil || errors.Is(err, ErrProbe):
		return err
	case ctx.Err() != nil:
		return fmt.Errorf("probe %s: %w", t.Path, ctx.Err())
	case limited.Err() != nil:
		return fmt.Errorf("%w: %s: %w: killed after %s%s", ErrProbe, t.Path, errHung, p.cfg.Timeout, said)
	case errors.Is(err, limit.ErrMemory), !exited:
		return fmt.Errorf("%w: %s: %w%s", ErrProbe, t.Path, err, said)
	}
	switch state.ExitCode() {
	case probeRefused:
		return fmt.Errorf("%w: refused in a child process%s", ErrLoad, said)
	case probeNoRuntime:
		return NoRuntime(fmt.Errorf("child process%s", said))
	case probeProvider:
		return fmt.Errorf("%w: found in a child process%s", ErrProvider, said)
	case probeGolden:
		return fmt.Errorf("%w: in a child process%s", ErrGolden, said)
	case probeRun:
		return fmt.Errorf("%w: %w: in a child process%s", ErrGolden, ErrRun, said)
	}
	if killed(state) {
		return fmt.Errorf("%w: %s: child process %w%s", ErrProbe, t.Path, errKilled, said)
	}
	// A crash: ended by a signal, a Go panic, or an exit nobody asked for.
	return fmt.Errorf("%w: %s: child process ended with %s%s", ErrProbe, t.Path, state, said)
}

// bounded keeps what is written to it up to a limit, and drops the rest.
type bounded struct {
	kept  []byte
	limit int
}

// Write never fails.
func (b *bounded) Write(p []byte) (int, error) {
	b.kept = append(b.kept, p[:min(len(p), b.limit-len(b.kept))]...)
	return len(p), nil
}

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
	// arguments "runtime-probe [-provider NAME] [-cache DIR] PATH". Default: this
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
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("prober config: %w", err)
	}
	return &childProber{cfg: cfg}, nil
}

type childProber struct{ cfg ProberConfig }

// drainTime is how long a killed child's output is waited for.
const drainTime = 2 * time.Second

// arguments are those of the child.
func (p *childProber) arguments(path string) []string {
	args := []string{ProbeArgument}
	if p.cfg.Provider != "" {
		args = append(args, "-provider", string(p.cfg.Provider))
	}
	if p.cfg.CacheDir != "" {
		args = append(args, "-cache", p.cfg.CacheDir)
	}
	return append(args, path)
}

func (p *childProber) Probe(ctx context.Context, path string) error {
	limited, cancel := context.WithTimeout(ctx, p.cfg.Timeout)
	defer cancel()
	stderr := excerpt.New(p.cfg.MaxStderrBytes)
	cmd := exec.CommandContext(limited, p.cfg.Executable, p.arguments(path)...)
	cmd.Env = append(limit.Environ(), p.cfg.Env...)
	cmd.Stderr = stderr
	cmd.WaitDelay = drainTime
	err := limit.Run(cmd, limit.Limits{})
	var exit *exec.ExitError
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("probe %s: %w", path, ctx.Err())
	case limited.Err() != nil:
		return fmt.Errorf("%w: %s: no answer within %s, killed%s", ErrProbe, path, p.cfg.Timeout, stderr.Said())
	case !errors.As(err, &exit):
		return fmt.Errorf("%w: %s: %w", ErrProbe, path, err)
	}
	switch exit.ExitCode() {
	case probeRefused:
		return fmt.Errorf("%w: refused in a child process%s", ErrLoad, stderr.Said())
	case probeNoRuntime:
		return NoRuntime(fmt.Errorf("child process%s", stderr.Said()))
	case probeProvider:
		return fmt.Errorf("%w: found in a child process%s", ErrProvider, stderr.Said())
	}
	// A crash: killed by a signal, a Go panic, or an exit nobody asked for.
	return fmt.Errorf("%w: %s: child process ended with %s%s", ErrProbe, path, exit.ProcessState, stderr.Said())
}

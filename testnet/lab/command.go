package lab

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
)

// ErrUnavailable says that this machine, or this user, cannot make labs: run as
// root on Linux, with iproute2 installed.
var ErrUnavailable = errors.New("no lab can be made here")

// Available returns nil if labs can be made here; else an error that wraps
// [ErrUnavailable] and says why.
func Available() error {
	if err := privileged(); err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	for _, program := range []string{"ip", "tc"} {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("%w: %w (install iproute2)", ErrUnavailable, err)
		}
	}
	return nil
}

// ip and tc run lines of commands inside a namespace, "" for this process's
// own, and stop at the first that fails.
func ip(ctx context.Context, namespace string, lines ...string) error {
	return batch(ctx, "ip", namespace, lines)
}

func tc(ctx context.Context, namespace string, lines ...string) error {
	return batch(ctx, "tc", namespace, lines)
}

func batch(ctx context.Context, program, namespace string, lines []string) error {
	var args []string
	if namespace != "" {
		args = append(args, "-n", namespace)
	}
	cmd := exec.CommandContext(ctx, program, append(args, "-batch", "-")...)
	cmd.Stdin = strings.NewReader(strings.Join(lines, "\n") + "\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w: %s; of: %s", program, strings.Join(args, " "), err, strings.TrimSpace(string(out)), strings.Join(lines, "; "))
	}
	return nil
}

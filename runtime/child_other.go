//go:build !linux

package runtime

import "os/exec"

// runWithParent runs cmd. A child outlives a parent that is killed here, until
// it has loaded its model.
func runWithParent(cmd *exec.Cmd) error { return cmd.Run() }

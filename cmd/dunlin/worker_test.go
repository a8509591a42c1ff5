package main

import (
	"bytes"
	"context"
	"os"
	"strconv"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/dunlin-mesh/dunlin/node/api"
)

// workerPID waits until the node's only model has a worker.
func workerPID(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: worker DIR VAR")
	}
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		c, ok := api.Dial(context.Background(), ts.MkAbs(args[0]))
		if !ok {
			continue
		}
		var s api.Status
		if c.Call(context.Background(), "status", nil, &s, nil) != nil || len(s.Models) != 1 {
			continue
		}
		if w := s.Models[0].Worker; w != nil && w.PID != 0 {
			ts.Setenv(args[1], strconv.Itoa(w.PID))
			return
		}
	}
	ts.Fatalf("the node in %s has no worker", args[0])
}

func kill9(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: kill9 PID")
	}
	pid, err := strconv.Atoi(args[0])
	ts.Check(err)
	ts.Check(syscall.Kill(pid, syscall.SIGKILL))
	gone(ts, neg, args)
}

// gone takes a zombie that nobody has waited for yet as gone.
func gone(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: gone PID")
	}
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		stat, err := os.ReadFile("/proc/" + args[0] + "/stat")
		if err != nil || bytes.Contains(stat, []byte(") Z ")) {
			return
		}
	}
	ts.Fatalf("process %s does not go", args[0])
}

package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"time"

	modelrt "github.com/dunlin-mesh/dunlin/runtime"
)

//go:embed fastapi.py
var fastapi string

// pythonPatience is how long Python may take to start.
const pythonPatience = time.Minute

// python is a process that serves one model by FastAPI.
type python struct {
	url  string
	cmd  *exec.Cmd
	said bytes.Buffer // owned by the process until it has ended
	done chan error
}

// startPython starts FastAPI at a free port and waits until it answers.
func startPython(ctx context.Context, binary, model string) (_ *python, err error) {
	if _, err := os.Stat(binary); err != nil {
		return nil, fmt.Errorf("python with FastAPI: %w (`make bench-serve` makes it, -skip-python does without)", err)
	}
	var config net.ListenConfig
	free, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	port := free.Addr().(*net.TCPAddr).Port
	if err := free.Close(); err != nil {
		return nil, err
	}
	p := &python{url: "http://127.0.0.1:" + strconv.Itoa(port), done: make(chan error, 1)}
	p.cmd = exec.CommandContext(ctx, binary, "-c", fastapi, model, strconv.Itoa(port))
	p.cmd.Stderr = &p.said
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { p.done <- p.cmd.Wait() }()
	for deadline := time.Now().Add(pythonPatience); time.Now().Before(deadline) && ctx.Err() == nil; time.Sleep(50 * time.Millisecond) {
		select {
		case err := <-p.done:
			return nil, fmt.Errorf("python ended: %w: %s", err, p.said.Bytes())
		default:
		}
		dialer := net.Dialer{Timeout: time.Second}
		if conn, err := dialer.DialContext(ctx, "tcp", "127.0.0.1:"+strconv.Itoa(port)); err == nil {
			return p, conn.Close()
		}
	}
	return nil, errors.Join(errors.New("python does not answer"), p.stop())
}

// stop ends the process and waits for it.
func (p *python) stop() error {
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-p.done
	return nil
}

func jsonHeader() http.Header { return http.Header{"Content-Type": {"application/json"}} }

// json is the request to silero-vad as FastAPI's users send it.
func (p *python) json(m model) []byte {
	state := values(m.inputs["state"])
	body, err := json.Marshal(map[string]any{
		"input": [][]float32{values(m.inputs["input"])},
		"state": [][][]float32{{state[:128]}, {state[128:]}},
		"sr":    16000,
	})
	if err != nil {
		return nil // numbers that are finite have a JSON form
	}
	return body
}

// raw is the same as bare bytes.
func (p *python) raw(m model) []byte {
	return append(bytes.Clone(m.inputs["input"].Data), m.inputs["state"].Data...)
}

func values(t modelrt.Tensor) []float32 {
	out := make([]float32, len(t.Data)/4)
	for i := range out {
		out[i] = math.Float32frombits(binary.LittleEndian.Uint32(t.Data[4*i:]))
	}
	return out
}

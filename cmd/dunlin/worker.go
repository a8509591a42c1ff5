package main

import (
	"context"
	"io"
	"log/slog"

	"github.com/dunlin-mesh/dunlin/node"
	modelrt "github.com/dunlin-mesh/dunlin/runtime"
	"github.com/dunlin-mesh/dunlin/runtime/onnx"
	"github.com/dunlin-mesh/dunlin/runtime/worker"
)

// inWorkers returns an engine that runs models in worker processes, which load
// them as engine would.
func inWorkers(engine modelrt.Engine, config node.Config, log *slog.Logger, arguments ...string) (modelrt.Engine, error) {
	return worker.New(worker.Config{
		Info:      engine.Info(),
		Arguments: arguments,
		Env:       []string{"DUNLIN_ONNXRUNTIME=" + engine.Info().LibraryPath},
		Limits:    config.Engine.Limits(),
		Logger:    log,
	})
}

// workerMain is the program of a worker process. What the terminal sends
// (Ctrl-C) ends the node, which tells its workers to go.
func workerMain(ctx context.Context, args []string, stderr io.Writer) int {
	engine, _, err := onnx.ForChild(worker.Argument, 0, args, stderr)
	if err != nil {
		return 2
	}
	return worker.Main(context.WithoutCancel(ctx), engine, stderr)
}

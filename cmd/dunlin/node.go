package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/dunlin-mesh/dunlin/node"
	"github.com/dunlin-mesh/dunlin/node/api"
)

type initCmd struct {
	Preset     string   `help:"Kind of link most peers are reached over: lan, wan, narrow or satellite." default:"wan" enum:"lan,wan,narrow,satellite"`
	Site       string   `help:"Label of the nodes that reach each other without an expensive link." placeholder:"LABEL"`
	Mesh       string   `help:"Name of the mesh." default:"dunlin" placeholder:"NAME"`
	Listen     []string `help:"Multiaddr to listen on, again for several; 'none' for a node that only dials. Default: TCP and QUIC on port 4617." placeholder:"ADDR"`
	Bootstrap  []string `help:"Multiaddr, ending in /p2p/PEERID, of a node to connect to." placeholder:"ADDR"`
	NoMDNS     bool     `name:"no-mdns" help:"Do not look for nodes on the local network."`
	NoContacts bool     `name:"no-contacts" help:"Tell no peer of others, and dial nobody whom a peer told of."`
	Quota      uint64   `help:"Most bytes that releases may occupy; 0 for what the disk has." placeholder:"BYTES"`
	NoRuntime  bool     `help:"Carry and serve chunks only; run no model."`
	Worker     bool     `help:"Run each loaded model in a process of its own, which may crash without harm to the node."`
	WorkerMem  int64    `name:"worker-memory" help:"Most memory that such a process may take, model and all; 0 for no bound." placeholder:"BYTES"`
	WorkerNice int      `help:"Niceness of such processes, 0 to 19." placeholder:"N"`
	Metrics    string   `help:"Serve Prometheus metrics on this address." placeholder:"HOST:PORT"`
}

// Help is the second part of `dunlin init --help`.
func (initCmd) Help() string {
	return `Makes an identity, a configuration and the folders that a node needs. An existing home is left alone.

Examples:
  dunlin init
  dunlin init --preset satellite --site ship-7 --bootstrap /dns4/hub.example/tcp/4617/p2p/12D3Koo...
  dunlin --dir /tmp/n2 init --listen /ip4/127.0.0.1/tcp/0

Exit codes: 0 done, 1 a node lives there already, 2 wrong usage.`
}

// Run makes the home.
func (c initCmd) Run(e *env) error {
	config := node.DefaultConfig()
	config.Preset, config.Site, config.Mesh = node.Preset(c.Preset), c.Site, c.Mesh
	config.Bootstrap, config.NoMDNS, config.QuotaBytes = c.Bootstrap, c.NoMDNS, c.Quota
	config.NoContacts = c.NoContacts
	config.NoRuntime, config.Metrics = c.NoRuntime, c.Metrics
	config.Engine = node.EngineConfig{Worker: c.Worker, MemoryBytes: c.WorkerMem, Nice: c.WorkerNice}
	if len(c.Listen) > 0 {
		config.Listen = c.Listen
	}
	if err := config.Validate(); err != nil {
		return api.Errorf(api.CodeUsage, "%v", err)
	}
	id, err := node.Init(e.dir, config)
	if errors.Is(err, node.ErrHomeTaken) {
		return fmt.Errorf("%w: use it with `dunlin up`, or name another home with --dir", err)
	}
	if err != nil {
		return err
	}
	return e.print(map[string]any{"dir": e.dir, "peer_id": id.String()}, func(w io.Writer) {
		fmt.Fprintf(w, "node %s lives in %s\nrun it with: dunlin up\n", id, e.dir)
	})
}

type upCmd struct {
	Serve     bool   `help:"Serve models to programs that speak the Open Inference Protocol, v2: REST on 127.0.0.1:8000, gRPC on 127.0.0.1:8001."`
	HTTP      string `name:"http" help:"Serve REST on this address instead; 'none' for not at all. Implies --serve." placeholder:"HOST:PORT"`
	GRPC      string `name:"grpc" help:"Serve gRPC on this address instead; 'none' for not at all. Implies --serve." placeholder:"HOST:PORT"`
	Worker    bool   `help:"Run each loaded model in a process of its own, whatever the configuration says."`
	LogFormat string `help:"Form of the log on standard error: text or json." default:"text" enum:"text,json"`
}

// Help is the second part of `dunlin up --help`.
func (upCmd) Help() string {
	return `Runs until it is interrupted. Nothing is lost by stopping it at any moment: what has arrived stays, what is
wanted is wanted again at the next start. Other commands talk to the running node by themselves. On SIGHUP it looks at
its hardware, memory and execution providers again, and decides anew which variants to run.

Examples:
  dunlin up
  dunlin up --serve                               # then: curl localhost:8000/v2/models/acme/vad
  dunlin up --http 127.0.0.1:9000 --grpc none
  dunlin up --log-format json 2>> /var/log/dunlin.log
  dunlin --dir /srv/dunlin -v up

Exit codes: 0 stopped by a signal, 1 failed, 2 no home there, 4 another node runs in this home.`
}

// Run runs the node.
func (c upCmd) Run(e *env) error {
	log := c.logger(e)
	e.worker = c.Worker
	node.LogNetwork(log)
	n, err := e.openToRun(log, c.serving())
	if err != nil {
		return err
	}
	defer onHangup(n.Reconsider)()
	return errors.Join(n.Run(e), n.Close())
}

// onHangup calls f on each SIGHUP, until the function that it returns is called.
func onHangup(f func()) (stop func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP)
	var loop sync.WaitGroup
	loop.Go(func() {
		for range signals {
			f()
		}
	})
	return func() {
		signal.Stop(signals)
		close(signals)
		loop.Wait()
	}
}

// serving returns where models are to be served, nil for where the
// configuration says.
func (c upCmd) serving() *node.ServeConfig {
	if !c.Serve && c.HTTP == "" && c.GRPC == "" {
		return nil
	}
	return &node.ServeConfig{HTTP: c.HTTP, GRPC: c.GRPC}
}

func (c upCmd) logger(e *env) *slog.Logger {
	options := &slog.HandlerOptions{Level: slog.LevelInfo}
	if e.verbose {
		options.Level = slog.LevelDebug
	}
	if c.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(e.stderr, options))
	}
	return slog.New(slog.NewTextHandler(e.stderr, options))
}

type versionCmd struct{}

// Run prints the version.
func (versionCmd) Run(e *env) error {
	return e.print(map[string]string{"version": node.Version}, func(w io.Writer) { fmt.Fprintln(w, "dunlin", node.Version) })
}

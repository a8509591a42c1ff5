package main

const about = `A mesh that carries AI models to machines the network forgets.

A publisher signs a release; nodes hear of it from whoever they meet, fetch what they lack
from the nearest peers, verify it, and switch to it. No server in the middle.

First steps, on two machines:

  dunlin init && dunlin up                              # a node, in the foreground
  dunlin publisher create acme                          # on the publisher's machine
  dunlin publisher export acme --out acme.root          # take this file to the other nodes
  dunlin publish ./vad.onnx --model acme/vad --version 6.2.0

  dunlin trust add acme.root                            # on every other node
  dunlin follow acme/vad && dunlin wait acme/vad@6.2.0
  dunlin infer acme/vad --input sr=16000 --zeros

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not verified (signature, digest, golden),
4 not reachable or timed out, 5 over budget, quota or disk.`

// cli is the command line, as kong reads it.
type cli struct {
	Dir     string `help:"The node's home." env:"DUNLIN_DIR" default:"${home}" placeholder:"DIR" type:"path"`
	JSON    bool   `help:"Answer in JSON on standard output."`
	Verbose bool   `short:"v" help:"Say more on standard error."`

	Init      initCmd      `cmd:"" help:"Make a folder a node's home." group:"Node"`
	Up        upCmd        `cmd:"" help:"Run the node in the foreground." group:"Node"`
	Status    statusCmd    `cmd:"" help:"Show the node, its models and what is under way." group:"Node"`
	Peers     peersCmd     `cmd:"" help:"Show who is connected and who is remembered." group:"Node"`
	Fleet     fleetCmd     `cmd:"" help:"Show every node of the mesh, as far as this one knows." group:"Node"`
	Top       topCmd       `cmd:"" help:"Show the fleet live." group:"Node"`
	Publisher publisherCmd `cmd:"" help:"Create and export a publisher's keys." group:"Publish"`
	Publish   publishCmd   `cmd:"" help:"Sign a release of a model file or folder." group:"Publish"`
	Trust     trustCmd     `cmd:"" help:"Pin publishers that this node believes." group:"Receive"`
	Follow    followCmd    `cmd:"" help:"Keep a model here, newest release, to run it." group:"Receive"`
	Carry     carryCmd     `cmd:"" help:"Keep models here to pass them on." group:"Receive"`
	Unfollow  unfollowCmd  `cmd:"" help:"Stop following or carrying." group:"Receive"`
	Retry     retryCmd     `cmd:"" help:"Try again what failed for good." group:"Receive"`
	Rollback  rollbackCmd  `cmd:"" help:"Make an earlier release active again." group:"Receive"`
	Ls        lsCmd        `cmd:"" help:"List models." group:"Receive"`
	Bundle    bundleCmd    `cmd:"" help:"Take releases along in a file, and bring them in." group:"Receive"`
	Plan      planCmd      `cmd:"" help:"Show what a release would cost, over which link, and what it waits for." group:"Links"`
	Allow     allowCmd     `cmd:"" help:"Let a release come in full over metered links." group:"Links"`
	Link      linkCmd      `cmd:"" help:"Show and set links: rates, schedules, budgets." group:"Links"`
	Wait      waitCmd      `cmd:"" help:"Wait until a release is here, verified and active." group:"Receive"`
	Path      pathCmd      `cmd:"" help:"Show where a release's files lie." group:"Use"`
	Infer     inferCmd     `cmd:"" help:"Run a model's active release." group:"Use"`
	Golden    goldenCmd    `cmd:"" help:"Make and run golden sets." group:"Publish"`
	Diff      diffCmd      `cmd:"" help:"Show what an update changes and costs." group:"Compare"`
	Delta     deltaCmd     `cmd:"" help:"Make one file from another and few bytes, without a mesh." group:"Compare"`
	Profile   profileCmd   `cmd:"" help:"Show what this machine is and can run, measured." group:"Node"`
	Why       whyCmd       `cmd:"" help:"Show how this node chose among a release's variants." group:"Use"`
	Verify    verifyCmd    `cmd:"" help:"Compare whole files with their manifests." group:"Keep in order"`
	Fsck      fsckCmd      `cmd:"" help:"Check the store, chunk by chunk." group:"Keep in order"`
	GC        gcCmd        `cmd:"" name:"gc" help:"Remove what nothing needs." group:"Keep in order"`
	Version   versionCmd   `cmd:"" help:"Show the version of this software." group:"Node"`
}

package main

import (
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
)

// The systems.
const (
	dunlinName     = "dunlin"
	rsyncAll       = "rsync"         // every node from the publisher
	rsyncGateways  = "rsync-gateway" // one node of each site, the others from it
	ariaName       = "aria2"
	syncthingName  = "syncthing"
	packageInstall = "make bench-swarm-tools"
)

// systemNames lists every system, ours first.
func systemNames() []string {
	return []string{dunlinName, rsyncAll, rsyncGateways, ariaName, syncthingName}
}

// programs names the program that a system needs, apart from ours.
var programs = map[string]string{rsyncAll: "rsync", rsyncGateways: "rsync", ariaName: "aria2c", syncthingName: "syncthing"}

// chosen returns the names of the systems to run a case with.
func (s *settings) chosen(c benchCase) []string {
	var out []string
	for _, name := range systemNames() {
		if len(s.systems) > 0 && !slices.Contains(s.systems, name) {
			continue
		}
		program, tool := programs[name]
		_, err := exec.LookPath(program)
		idles := name != rsyncAll && name != rsyncGateways // rsync does not run when there is nothing to do
		if !tool || !s.skipTools && c.tools && err == nil && (c.kind != nothing || idles) {
			out = append(out, name)
		}
	}
	return out
}

// complain says loudly which tools are missing.
func (s *settings) complain(stderr io.Writer) {
	if s.skipTools {
		fmt.Fprintln(stderr, "swarm: the other systems are not run, and ideals marked * are of earlier runs")
		return
	}
	var missing []string
	for _, program := range []string{"rsync", "aria2c", "syncthing", "zstd", "xdelta3"} {
		if _, err := exec.LookPath(program); err != nil {
			missing = append(missing, program)
		}
	}
	if len(missing) > 0 {
		fmt.Fprintf(stderr, "\nswarm: MISSING: %s. Without them this is no full comparison; %s installs them (root on Debian).\n\n", strings.Join(missing, ", "), packageInstall)
	}
}

func (s *settings) newSystem(name string, c benchCase, line *timeline) system {
	switch name {
	case rsyncAll:
		return &rsync{}
	case rsyncGateways:
		return &rsync{gateways: true}
	case ariaName:
		return &aria{}
	case syncthingName:
		return &syncthing{}
	}
	return &dunlin{binary: s.dunlin, preset: c.preset, line: line}
}

package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/dunlin-mesh/dunlin/node/api"
	modelrt "github.com/dunlin-mesh/dunlin/runtime"
)

type statusCmd struct{}

// Help is the second part of `dunlin status --help`.
func (statusCmd) Help() string {
	return `Examples:
  dunlin status
  dunlin status --json | jq -r '.addresses[]'      # for another node's --bootstrap

Exit codes: 0 done, 2 no home there.`
}

// Run shows the status.
func (statusCmd) Run(e *env) error {
	var s api.Status
	if err := e.call("status", nil, &s); err != nil {
		return err
	}
	return e.print(s, func(w io.Writer) {
		state := "not running"
		if s.Running {
			state = fmt.Sprintf("up since %s, %d peers", s.Since.Local().Format(time.DateTime), s.Peers)
		}
		fmt.Fprintf(w, "node    %s\n        %s; mesh %s, preset %s", s.PeerID, state, s.Mesh, s.Preset)
		if s.Site != "" {
			fmt.Fprintf(w, ", site %s", s.Site)
		}
		if s.Members > 1 {
			fmt.Fprintf(w, ", %d members here", s.Members)
			if s.Gateway {
				fmt.Fprint(w, ", this one a gateway")
			}
		}
		fmt.Fprintln(w)
		for _, a := range s.Addresses {
			fmt.Fprintf(w, "        %s\n", a)
		}
		if s.Serving != nil {
			fmt.Fprintf(w, "serving %s\n", describeServing(*s.Serving))
		}
		fmt.Fprintf(w, "network %s in, %s out; of that control %s in, %s out\n", size(uint64(s.Network.BytesIn)), size(uint64(s.Network.BytesOut)),
			size(uint64(s.Network.ControlIn)), size(uint64(s.Network.ControlOut)))
		fmt.Fprintf(w, "disk    %s used, %s free", size(s.Disk.UsedBytes), size(s.Disk.FreeBytes))
		if s.Disk.QuotaBytes > 0 {
			fmt.Fprintf(w, ", quota %s", size(s.Disk.QuotaBytes))
		}
		fmt.Fprintf(w, "\nruntime %s\n\n", describeRuntime(s))
		printModels(w, s.Models)
	})
}

func describeRuntime(s api.Status) string {
	if s.Runtime.Reason != "" {
		return "none: " + s.Runtime.Reason
	}
	text := strings.TrimSpace(fmt.Sprintf("%s %s (sha256 %.16s…)", s.Runtime.Name, s.Runtime.Version, s.Runtime.LibrarySHA256))
	if s.Runtime.Worker != "" {
		text += ", in worker processes, tensors by " + s.Runtime.Worker
	}
	return text
}

func describeServing(s api.Serving) string {
	var parts []string
	if s.HTTP != "" {
		parts = append(parts, "REST on http://"+s.HTTP)
	}
	if s.GRPC != "" {
		parts = append(parts, "gRPC on "+s.GRPC)
	}
	return strings.Join(parts, ", ")
}

type lsCmd struct{}

// Help is the second part of `dunlin ls --help`.
func (lsCmd) Help() string {
	return `Examples:
  dunlin ls
  dunlin ls --json | jq -r '.[] | select(.state=="current") | .model'

Exit codes: 0 done, 2 no home there.`
}

// Run lists models.
func (lsCmd) Run(e *env) error {
	var s api.Status
	if err := e.call("status", nil, &s); err != nil {
		return err
	}
	return e.print(s.Models, func(w io.Writer) { printModels(w, s.Models) })
}

func printModels(w io.Writer, models []api.Model) {
	t := newTable(w, "MODEL", "ROLE", "NEWEST", "ACTIVE", "STATE", "HERE", "NOTE")
	for _, m := range models {
		latest, active := "-", "-"
		if m.Latest != nil {
			latest = m.Latest.Version
		}
		if m.Active != nil {
			active = m.Active.Version
			if !m.Serving {
				active += " (not loaded)"
			}
		}
		here := "-"
		if m.TotalBytes > 0 {
			here = fmt.Sprintf("%d%% of %s", 100*m.HeldBytes/m.TotalBytes, size(m.TotalBytes))
		}
		note := strings.TrimSpace(m.Reason + " " + describeRoutes(m.Routes) + " " + describeWorker(m.Worker) + " " + describeSoak(m))
		if m.Stale {
			note = strings.TrimSpace("stale " + note)
		}
		t.row(m.Model, strings.Join(m.Role, ","), latest, active, m.State, here, note)
	}
	t.flush()
}

// describeSoak says in a few words whether the active release may still go back
// by itself, or why none serves for the moment.
func describeSoak(m api.Model) string {
	switch {
	case m.Outage != nil:
		return "unloaded to make room since " + m.Outage.Local().Format(time.TimeOnly)
	case m.Soak == nil:
		return ""
	}
	return fmt.Sprintf("watched until %s: %d requests, %d failed", m.Soak.Until.Local().Format(time.TimeOnly), m.Soak.Now.Requests, m.Soak.Now.Failures)
}

// describeWorker says in a few words which process a model runs in.
func describeWorker(w *modelrt.Worker) string {
	if w == nil {
		return ""
	}
	text := "worker starting"
	if w.PID != 0 {
		text = fmt.Sprintf("worker %d, %s", w.PID, size(uint64(w.ResidentBytes)))
	}
	switch w.Crashes {
	case 0:
	case 1:
		text += ", 1 crash"
	default:
		text += fmt.Sprintf(", %d crashes", w.Crashes)
	}
	return text
}

// describeRoutes says in a few words how a release comes.
func describeRoutes(routes []api.Route) string {
	var parts []string
	for _, r := range routes {
		name := ""
		if len(routes) > 1 {
			name = r.Path + ": "
		}
		switch r.By {
		case api.ByDelta:
			parts = append(parts, fmt.Sprintf("%sdelta to %s, %s of %s", name, r.Basis, size(r.DeltaBytes), size(r.Bytes)))
		default:
			parts = append(parts, fmt.Sprintf("%sin chunks, %s", name, r.Reason))
		}
		if len(parts) == 3 && len(routes) > 3 {
			parts = append(parts, fmt.Sprintf("%d more", len(routes)-3))
			break
		}
	}
	return strings.Join(parts, "; ")
}

type peersCmd struct{}

// Help is the second part of `dunlin peers --help`.
func (peersCmd) Help() string {
	return `Examples:
  dunlin peers
  dunlin peers --json | jq '[.[] | select(.connected)] | length'

Exit codes: 0 done, 2 no home there.`
}

// Run lists peers.
func (peersCmd) Run(e *env) error {
	var peers []api.Peer
	if err := e.call("peers", nil, &peers); err != nil {
		return err
	}
	return e.print(peers, func(w io.Writer) {
		t := newTable(w, "PEER", "LINK", "SITE", "RTT", "IN", "OUT", "ADDRESS")
		for _, p := range peers {
			link, rtt := "-", "-"
			if p.Connected {
				link = p.Direction
			}
			if p.Parole {
				link += " (parole)"
			}
			where := p.Site
			switch {
			case p.Gateway:
				where = strings.TrimSpace(where + " member, gateway")
			case p.Member:
				where = strings.TrimSpace(where + " member")
			case p.Local:
				where = strings.TrimSpace(where + " local")
			case where == "":
				where = "-"
			}
			if p.RTTMillis > 0 {
				rtt = fmt.Sprintf("%.1f ms", p.RTTMillis)
			}
			address := ""
			if len(p.Addresses) > 0 {
				address = p.Addresses[0]
			}
			t.row(p.ID, link, where, rtt, size(uint64(p.BytesIn)), size(uint64(p.BytesOut)), address)
		}
		t.flush()
	})
}

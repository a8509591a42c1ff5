package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/dunlin-mesh/dunlin/node/api"
)

type followCmd struct {
	Models   []string `arg:"" help:"Models, publisher/name."`
	Priority *int     `help:"While a model of higher priority is fetched over a link, others wait there; -100 to 100, 0 at first." placeholder:"N"`
}

// Help is the second part of `dunlin follow --help`.
func (followCmd) Help() string {
	return `The newest release that a pinned publisher signed is fetched, verified, loaded and switched to, now and whenever a
newer one is heard of.

Examples:
  dunlin follow acme/vad
  dunlin follow acme/vad acme/ocr
  dunlin follow acme/alarm --priority 10

Exit codes: 0 done, 2 wrong usage.`
}

// Run adds models.
func (c followCmd) Run(e *env) error {
	return changeRules(e, "follow", api.RulesRequest{Models: c.Models, Priority: c.Priority})
}

type unfollowCmd struct {
	Models []string `arg:"" help:"Models or patterns as they were given."`
}

// Help is the second part of `dunlin unfollow --help`.
func (unfollowCmd) Help() string {
	return `The model stops serving here; its files go when room is needed, or with 'dunlin gc'.

Examples:
  dunlin unfollow acme/vad
  dunlin unfollow 'acme/*'

Exit codes: 0 done, 2 not followed or carried.`
}

// Run drops rules.
func (c unfollowCmd) Run(e *env) error {
	return changeRules(e, "unfollow", api.RulesRequest{Models: c.Models})
}

func changeRules(e *env, call string, req any) error {
	var r api.Rules
	if err := e.call(call, req, &r); err != nil {
		return err
	}
	return e.print(r, func(w io.Writer) {
		fmt.Fprintf(w, "following: %s\ncarrying:  %s\n", list(r.Follow), list(r.Carry))
	})
}

func list(texts []string) string {
	if len(texts) == 0 {
		return "nothing"
	}
	return strings.Join(texts, " ")
}

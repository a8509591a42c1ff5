package gossip

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"slices"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"github.com/dunlin-mesh/dunlin/trust"
)

// Bounds of what travels on the topic.
const (
	// maxRPCBytes bounds one gossipsub message with all that it carries: a
	// head, or control messages with three signed peer records.
	maxRPCBytes = 2 << 10
	// prunePeers is how many peer records fit into maxRPCBytes.
	prunePeers = 3
	// validators bounds how many heads are verified at once; as many more wait
	// as the queue takes, the rest is dropped.
	validators     = 2
	validatorQueue = 64
	// headIDBytes is the length of a message id: a cut sha2-256, as short as
	// second preimages allow.
	headIDBytes = 16
)

// meshProtocol carries gossipsub v1.2 under a name of our own, so that nodes
// do not become part of the pubsub of other applications, whose messages may
// be larger than ours.
const meshProtocol protocol.ID = "/dunlin/meshsub/1"

func topicName(mesh string) string { return "/dunlin/heads/1/" + mesh }

// headID identifies a message by its content.
type headID [headIDBytes]byte

func sumHead(data []byte) (id headID) {
	sum := sha256.Sum256(data)
	copy(id[:], sum[:])
	return id
}

// idOf returns the id of the message that announces head.
func idOf(head trust.Head) (headID, error) {
	data, err := head.Encode()
	if err != nil {
		return headID{}, err
	}
	return sumHead(data), nil
}

// topic is the joined topic of heads.
type topic struct {
	topic *pubsub.Topic
}

// join starts gossipsub on host until ctx ends.
func (g *Gossip) join(ctx context.Context, host *scope) (*topic, error) {
	name := topicName(g.config.Mesh)
	ps, err := pubsub.NewGossipSub(ctx, host, append(g.params.pubsubOptions(name, g.appScore, g),
		pubsub.WithMessageIdFn(func(m *pb.Message) string {
			id := sumHead(m.GetData())
			return string(id[:])
		}),
		pubsub.WithDefaultValidator(g.validate, pubsub.WithValidatorInline(true)),
		pubsub.WithLogger(g.config.Logger.With(slog.String("component", "pubsub"))),
		pubsub.WithRPCLogger(g.config.Logger.With(slog.String("component", "pubsub_rpc"))),
	)...)
	if err != nil {
		return nil, err
	}
	joined, err := ps.Join(name)
	if err != nil {
		return nil, err
	}
	// A relay takes part in the topic without a subscription that somebody
	// would have to drain: all that matters happens in the validator.
	if _, err := joined.Relay(); err != nil {
		return nil, err
	}
	return &topic{topic: joined}, nil
}

// publish sends head to the topic.
func (t *topic) publish(ctx context.Context, head trust.Head) error {
	data, err := head.Encode()
	if err != nil {
		return fmt.Errorf("announce head of %s: %w", head.Publisher, err)
	}
	if err := t.topic.Publish(ctx, data); err != nil {
		return fmt.Errorf("announce head of %s: %w", head.Publisher, err)
	}
	return nil
}

// Trace is called by pubsub and follows what goes on in the topic.
func (g *Gossip) Trace(e *pb.TraceEvent) {
	g.meets.follow(e)
	switch e.GetType() {
	case pb.TraceEvent_DUPLICATE_MESSAGE:
		d := e.GetDuplicateMessage()
		from := peer.ID(d.GetReceivedFrom())
		if publisher, id, ok := g.learn.whose(d.GetMessageID()); ok {
			g.learn.again(publisher, id, g.config.Host.ID(), from, g.local(from))
			g.meets.told(from, publisher, id)
		}
	case pb.TraceEvent_SEND_RPC:
		for _, m := range e.GetSendRPC().GetMeta().GetMessages() {
			if publisher, id, ok := g.learn.whose(m.GetMessageID()); ok {
				g.meets.told(peer.ID(e.GetSendRPC().GetSendTo()), publisher, id)
			}
		}
	}
}

// local says whether p is of this node's own site.
func (g *Gossip) local(p peer.ID) bool {
	return slices.ContainsFunc(g.config.Host.Network().ConnsToPeer(p), g.config.Site.Local)
}

// validate decides what becomes of a message of the topic: see the package
// comment.
func (g *Gossip) validate(_ context.Context, from peer.ID, m *pubsub.Message) pubsub.ValidationResult {
	if from == g.config.Host.ID() {
		return pubsub.ValidationAccept // Announce has checked it
	}
	head, err := trust.DecodeHead(m.GetData())
	if err != nil {
		g.blame(from, err)
		return pubsub.ValidationReject
	}
	verdict, err := g.config.State.CheckHead(head)
	switch {
	case trust.Hostile(err):
		g.blame(from, err)
		return pubsub.ValidationReject
	case err != nil: // expiry, or the publisher contradicts itself: not the peer's fault
		g.config.Logger.Warn("head not believed", slog.String("publisher", head.Publisher.String()), slog.String("peer", from.String()), slog.Any("error", err))
		return pubsub.ValidationIgnore
	}
	switch verdict {
	case trust.HeadNew:
		g.hear(head, sumHead(m.GetData()), from)
		return pubsub.ValidationAccept
	case trust.HeadNeedsRoot:
		g.hear(head, sumHead(m.GetData()), from)
		return pubsub.ValidationIgnore
	case trust.HeadSame:
		g.meets.told(from, head.Publisher, sumHead(m.GetData()))
		return pubsub.ValidationIgnore
	default: // old, or not pinned
		return pubsub.ValidationIgnore
	}
}

// hear notes a head to be learnt that from has told. One from outside waits a
// moment for members of the site who may have been told the same.
func (g *Gossip) hear(head trust.Head, id headID, from peer.ID) {
	g.meets.told(from, head.Publisher, id)
	local := g.local(from)
	settle := time.Duration(0)
	if !local && slices.ContainsFunc(g.meets.others(from), g.local) {
		settle = learnSettle
	}
	g.learn.add(head, id, from, local, settle)
}

// seenFor is how long message ids are remembered: as long as one may still be
// asked for, and a while more for slow paths.
func (p params) seenFor() time.Duration {
	return max(2*time.Minute, 2*time.Duration(p.history)*p.heartbeat)
}

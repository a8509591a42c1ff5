package gossip

import (
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

// Scores. Meshes are small, messages are rare and many nodes share an address,
// so neither missing deliveries nor neighbours on one address say anything;
// only what a peer did wrong counts. One forged head is enough to be ignored
// for about a minute, each further one for longer (the penalty is the square
// of a counter that fades over an hour). The rules are those of gossipsub 1.1,
// "Peer Scoring"; the thresholds are ours.
const (
	invalidWeight      = -100 // for the square of forged heads
	behaviourWeight    = -10  // for the square of broken promises and hasty grafts
	paroleScore        = -100 // while on parole
	gossipThreshold    = -10  // below: no gossip from or to this peer
	publishThreshold   = -50  // below: own announcements do not go there
	graylistThreshold  = -80  // below: everything from this peer is dropped
	acceptPXThreshold  = 5    // below: addresses from this peer are not dialled
	improveThreshold   = 1    // median score of the topic mesh that is good enough
	inMeshCap          = 10   // minutes in the topic mesh that count
	scoreDecayInterval = time.Minute
	scoreFade          = time.Hour
	scoreZero          = 0.01
)

// appScore tells gossipsub who is on parole.
func (g *Gossip) appScore(p peer.ID) float64 {
	if g.parole.until(p).After(time.Now()) {
		return paroleScore
	}
	return 0
}

func (p params) pubsubOptions(topic string, appScore func(peer.ID) float64, tracer pubsub.EventTracer) []pubsub.Option {
	fade := pubsub.ScoreParameterDecayWithBase(scoreFade, scoreDecayInterval, scoreZero)
	return []pubsub.Option{
		pubsub.WithGossipSubProtocols([]protocol.ID{meshProtocol}, features),
		pubsub.WithGossipSubParams(p.gossipSub()),
		pubsub.WithMessageSignaturePolicy(pubsub.StrictNoSign),
		pubsub.WithNoAuthor(),
		pubsub.WithEventTracer(tracer),
		pubsub.WithMaxMessageSize(maxRPCBytes),
		pubsub.WithMaxControlMessageSize(maxRPCBytes),
		pubsub.WithSubscriptionFilter(pubsub.WrapLimitSubscriptionFilter(pubsub.NewAllowlistSubscriptionFilter(topic), 8)),
		pubsub.WithValidateQueueSize(validatorQueue),
		pubsub.WithValidateWorkers(validators),
		pubsub.WithSeenMessagesTTL(p.seenFor()),
		pubsub.WithFloodPublish(p.flood),
		pubsub.WithPeerExchange(p.peerExchange),
		pubsub.WithPeerScore(&pubsub.PeerScoreParams{
			Topics: map[string]*pubsub.TopicScoreParams{topic: {
				SkipAtomicValidation:           true,
				TopicWeight:                    1,
				TimeInMeshWeight:               1,
				TimeInMeshQuantum:              time.Minute,
				TimeInMeshCap:                  inMeshCap,
				InvalidMessageDeliveriesWeight: invalidWeight,
				InvalidMessageDeliveriesDecay:  fade,
			}},
			AppSpecificScore:          appScore,
			AppSpecificWeight:         1,
			BehaviourPenaltyWeight:    behaviourWeight,
			BehaviourPenaltyThreshold: 2,
			BehaviourPenaltyDecay:     fade,
			DecayInterval:             scoreDecayInterval,
			DecayToZero:               scoreZero,
			RetainScore:               scoreFade,
			SeenMsgTTL:                p.seenFor(),
		}, &pubsub.PeerScoreThresholds{
			GossipThreshold:             gossipThreshold,
			PublishThreshold:            publishThreshold,
			GraylistThreshold:           graylistThreshold,
			AcceptPXThreshold:           acceptPXThreshold,
			OpportunisticGraftThreshold: improveThreshold,
		}),
	}
}

// features says what meshProtocol can do: gossipsub v1.2 without extensions.
func features(f pubsub.GossipSubFeature, id protocol.ID) bool {
	return id == meshProtocol && f != pubsub.GossipSubFeatureExtensions
}

func (p params) gossipSub() pubsub.GossipSubParams {
	s := pubsub.DefaultGossipSubParams()
	s.HeartbeatInterval = p.heartbeat
	s.D, s.Dlo, s.Dhi, s.Dout = p.degree, p.low, p.high, p.outbound
	s.Dscore = p.low
	s.Dlazy, s.GossipFactor = p.lazy, p.gossipFactor
	s.HistoryLength, s.HistoryGossip = p.history, p.history/2
	s.MaxIHaveLength, s.MaxIHaveMessages = 256, 10
	s.IWantFollowupTime = max(s.IWantFollowupTime, p.turnTimeout)
	s.PrunePeers, s.Connectors = prunePeers, 1
	s.GraftFloodThreshold = max(s.GraftFloodThreshold, p.heartbeat)
	s.PruneBackoff = max(s.PruneBackoff, 3*p.heartbeat)
	return s
}

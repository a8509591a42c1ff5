package node

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/dunlin-mesh/dunlin/node/api"
	"github.com/dunlin-mesh/dunlin/runtime/serve"
)

// gauges reads the node's figures when they are asked for.
type gauges struct{ node *Node }

var (
	bytesDesc    = prometheus.NewDesc("dunlin_network_bytes_total", "Stream bytes since the node started, by direction and purpose.", []string{"direction", "purpose"}, nil)
	peersDesc    = prometheus.NewDesc("dunlin_peers", "Connected peers.", nil, nil)
	membersDesc  = prometheus.NewDesc("dunlin_site_members", "Members of this node's site that are connected, this node included.", nil, nil)
	gatewayDesc  = prometheus.NewDesc("dunlin_site_gateway", "1 while this node keeps contact with the outside of its site.", nil, nil)
	chunksDesc   = prometheus.NewDesc("dunlin_chunks_total", "Chunks moved and verified, by direction.", []string{"direction"}, nil)
	dupDesc      = prometheus.NewDesc("dunlin_duplicate_bytes_total", "Frame bytes that arrived for chunks that were here already.", nil, nil)
	codedDesc    = prometheus.NewDesc("dunlin_deltas_coded_total", "Deltas made on this node.", nil, nil)
	deltasDesc   = prometheus.NewDesc("dunlin_delta_cache_bytes", "Disk used by deltas that may be passed on, and by parts of those that are arriving.", nil, nil)
	badDesc      = prometheus.NewDesc("dunlin_bad_peers_total", "Times that a peer was dropped for what it sent.", nil, nil)
	diskDesc     = prometheus.NewDesc("dunlin_store_bytes", "Disk used by the store, by kind.", []string{"kind"}, nil)
	freeDesc     = prometheus.NewDesc("dunlin_disk_free_bytes", "Free on the store's disk.", nil, nil)
	sequenceDesc = prometheus.NewDesc("dunlin_model_sequence", "Sequence of a model's release, newest known, and active here.", []string{"model", "which"}, nil)
	heldDesc     = prometheus.NewDesc("dunlin_model_held_ratio", "Share of the newest release that is here, 0 to 1.", []string{"model"}, nil)
	servedDesc   = prometheus.NewDesc("dunlin_serve_requests_total", "Requests to served models, by result.", []string{"model", "version", "result"}, nil)
	phaseDesc    = prometheus.NewDesc("dunlin_serve_phase_seconds_total", "Where the time of successful requests went.", []string{"model", "version", "phase"}, nil)
	latencyDesc  = prometheus.NewDesc("dunlin_serve_request_seconds", "What successful requests to served models took.", []string{"model", "version"}, nil)
	stateDesc    = prometheus.NewDesc("dunlin_model_state", "1 for the state that the model is in.", []string{"model", "state"}, nil)
)

// newMetrics returns a registry of everything that this node measures.
func newMetrics(n *Node) *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), gauges{n})
	return r
}

// Describe implements prometheus.Collector.
func (g gauges) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		bytesDesc, peersDesc, membersDesc, gatewayDesc, chunksDesc, dupDesc, codedDesc, deltasDesc, badDesc, diskDesc, freeDesc, sequenceDesc, heldDesc, stateDesc,
		servedDesc, phaseDesc, latencyDesc,
	} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (g gauges) Collect(out chan<- prometheus.Metric) {
	counter := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	if net := g.node.net.Load(); net != nil {
		totals, t := net.counter.GetBandwidthTotals(), net.transfer.Stats()
		counter(bytesDesc, float64(totals.TotalIn), "in", "all")
		counter(bytesDesc, float64(totals.TotalOut), "out", "all")
		counter(bytesDesc, float64(t.BytesReceived), "in", "transfer")
		counter(bytesDesc, float64(t.BytesSent), "out", "transfer")
		counter(bytesDesc, float64(t.Deltas.BytesReceived), "in", "delta")
		counter(bytesDesc, float64(t.Deltas.BytesSent), "out", "delta")
		counter(codedDesc, float64(t.Deltas.Coded))
		gauge(deltasDesc, float64(t.Deltas.CacheBytes))
		counter(chunksDesc, float64(t.ChunksReceived), "in")
		counter(chunksDesc, float64(t.ChunksSent), "out")
		counter(dupDesc, float64(t.DuplicateBytes))
		counter(badDesc, float64(t.BadPeers))
		gauge(peersDesc, float64(len(net.host.Network().Peers())))
		gauge(membersDesc, float64(len(net.site.Members())))
		is, _ := net.site.Gateway()
		gauge(gatewayDesc, map[bool]float64{true: 1}[is])
		if net.serving != nil {
			for _, m := range net.serving.Stats() {
				collectServed(m, out, counter)
			}
		}
	}
	if usage, err := g.node.store.Usage(); err == nil {
		gauge(diskDesc, float64(usage.FileBytes), "files")
		gauge(diskDesc, float64(usage.BlockBytes), "blocks")
		gauge(diskDesc, float64(usage.IndexBytes), "index")
		gauge(freeDesc, float64(usage.FreeBytes))
	}
	models, err := g.node.models()
	if err != nil {
		out <- prometheus.NewInvalidMetric(heldDesc, err)
		return
	}
	for _, m := range models {
		g.collectModel(m, gauge)
	}
}

func (g gauges) collectModel(m api.Model, gauge func(*prometheus.Desc, float64, ...string)) {
	name := string(m.Model)
	gauge(stateDesc, 1, name, string(m.State))
	if m.Latest != nil {
		gauge(sequenceDesc, float64(m.Latest.Sequence), name, "latest")
	}
	if m.Active != nil {
		gauge(sequenceDesc, float64(m.Active.Sequence), name, "active")
	}
	if m.TotalBytes > 0 {
		gauge(heldDesc, float64(m.HeldBytes)/float64(m.TotalBytes), name)
	}
}

// collectServed tells of the requests for one version of a model.
func collectServed(m serve.ModelStats, out chan<- prometheus.Metric, counter func(*prometheus.Desc, float64, ...string)) {
	counter(servedDesc, float64(m.Success.Count), m.Name, m.Version, "success")
	counter(servedDesc, float64(m.Fail.Count), m.Name, m.Version, "fail")
	for phase, total := range map[string]serve.Total{"queue": m.Queue, "input": m.Input, "infer": m.Infer, "output": m.Output} {
		counter(phaseDesc, total.Time.Seconds(), m.Name, m.Version, phase)
	}
	buckets, below := make(map[float64]uint64), uint64(0)
	for i, bound := range serve.Buckets() {
		below += m.Latency[i]
		buckets[bound] = below
	}
	out <- prometheus.MustNewConstHistogram(latencyDesc, m.Success.Count, m.Success.Time.Seconds(), buckets, m.Name, m.Version)
}

package client

import (
	"errors"
	"fmt"
	"image"
	"time"
)

// SamplerConfig says which frames are worth sending. [DefaultSampler] is good
// for a camera that does not move.
type SamplerConfig struct {
	// Threshold is the mean absolute difference of luma over the whole frame, 0
	// to 255, over which a frame is kept. Default 3; the noise of a camera is
	// below 1 on the grid.
	Threshold float64
	// CellThreshold is the difference of a single cell, 0 to 255, over which a
	// frame is kept too: something small moves. 0 looks at the mean only.
	// Default 24.
	CellThreshold float64
	// MaxGap is how long frames may be skipped: one that comes so long after the
	// last kept one is kept whatever it shows. 0 for no bound. Default 1 s.
	MaxGap time.Duration
	// Grid is the number of cells along each side, 4 to 256. Default 32.
	Grid int
}

// DefaultSampler returns the defaults.
func DefaultSampler() SamplerConfig {
	return SamplerConfig{Threshold: 3, CellThreshold: 24, MaxGap: time.Second, Grid: 32}
}

// Validate reports every field that is out of its range.
func (c SamplerConfig) Validate() error {
	var errs []error
	for name, v := range map[string]float64{"threshold": c.Threshold, "cell threshold": c.CellThreshold} {
		if !(v >= 0 && v <= 255) {
			errs = append(errs, fmt.Errorf("%s %g is not within 0 and 255", name, v))
		}
	}
	if c.MaxGap < 0 {
		errs = append(errs, fmt.Errorf("max gap %v is negative", c.MaxGap))
	}
	if c.Grid < 4 || c.Grid > 256 {
		errs = append(errs, fmt.Errorf("grid %d is not within 4 and 256", c.Grid))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("sampler config: %w", err)
	}
	return nil
}

// Sampled counts frames, and the bytes that sending them takes or would have
// taken.
type Sampled struct {
	Kept, Skipped         int64
	BytesKept, BytesSaved int64
}

// Sampler picks frames of one stream. It compares with the last frame kept, not
// the last one seen, so that a slow change adds up. One goroutine at a time may
// use it.
type Sampler struct {
	cfg   SamplerConfig
	last  []byte // grid of the last frame kept, nil before the first
	size  image.Point
	at    time.Time
	grid  []byte // of the frame that is looked at
	count Sampled
}

// NewSampler returns a sampler that keeps the first frame it sees.
func NewSampler(cfg SamplerConfig) (*Sampler, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Sampler{cfg: cfg}, nil
}

// Keep tells whether a frame is worth sending, and remembers it if so. The
// frame was taken at a time, and sending it takes so many bytes.
func (s *Sampler) Keep(frame image.Image, taken time.Time, bytes int64) bool {
	s.grid = luma(s.grid[:0], frame, s.cfg.Grid)
	if s.last != nil && s.size == frame.Bounds().Size() && !s.due(taken) && !s.changed() {
		s.count.Skipped++
		s.count.BytesSaved += bytes
		return false
	}
	s.count.Kept++
	s.count.BytesKept += bytes
	s.last, s.grid = s.grid, s.last
	s.size, s.at = frame.Bounds().Size(), taken
	return true
}

// Reset has the next frame kept: after a request that failed, or a cut.
func (s *Sampler) Reset() { s.last = nil }

// Sampled returns what was kept and skipped since the beginning.
func (s *Sampler) Sampled() Sampled { return s.count }

// due tells whether frames have been skipped for long enough. A clock that went
// back counts as that.
func (s *Sampler) due(taken time.Time) bool {
	gap := taken.Sub(s.at)
	return s.cfg.MaxGap > 0 && gap >= s.cfg.MaxGap || gap < 0
}

// changed tells whether the grid differs enough from the last one kept.
func (s *Sampler) changed() bool {
	sum, most := 0, 0
	for i, v := range s.grid {
		d := int(v) - int(s.last[i])
		d = max(d, -d)
		sum, most = sum+d, max(most, d)
	}
	return float64(sum) > s.cfg.Threshold*float64(len(s.grid)) ||
		s.cfg.CellThreshold > 0 && float64(most) > s.cfg.CellThreshold
}

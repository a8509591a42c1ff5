package serve

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"
)

// Config says what a [Server] serves, and where.
type Config struct {
	// HTTP and GRPC are the host:port addresses to listen on, each empty for not
	// at all, at least one of them given. Port 0 takes a free one, see
	// [Server.Addresses]. Nobody is asked who they are: an address that others
	// reach lets others use the models.
	HTTP, GRPC string
	// Models answers; required.
	Models Models
	// Version of the software, as clients are told it.
	Version string
	// Logger is told what goes wrong; required.
	Logger *slog.Logger

	// MaxRequestBytes bounds one request, after it has been unpacked. Default
	// 64 MiB.
	MaxRequestBytes int
	// MaxRequests bounds the requests that are read, run and answered at once,
	// REST and gRPC together; more wait for their turn. Default 64.
	MaxRequests int
	// MaxConnections bounds the connections of each address; more wait to be
	// accepted. Default 256.
	MaxConnections int
	// ReadTime is how long a REST client may take to send one request, and to read
	// its answer. Default one minute.
	ReadTime time.Duration
	// DrainTime is how long requests under way may take when the server stops;
	// then they are cancelled. Default 10 seconds.
	DrainTime time.Duration
}

// withDefaults fills in what is zero.
func (c Config) withDefaults() Config {
	set(&c.MaxRequestBytes, 64<<20)
	set(&c.MaxRequests, 64)
	set(&c.MaxConnections, 256)
	set(&c.ReadTime, time.Minute)
	set(&c.DrainTime, 10*time.Second)
	return c
}

func set[T comparable](v *T, to T) {
	var zero T
	if *v == zero {
		*v = to
	}
}

// Validate names everything that is wrong or missing. Zero stands for a
// default.
func (c Config) Validate() error {
	var errs []error
	if c.HTTP == "" && c.GRPC == "" {
		errs = append(errs, errors.New("no address to listen on"))
	}
	for what, address := range map[string]string{"http": c.HTTP, "grpc": c.GRPC} {
		if address == "" {
			continue
		}
		if _, _, err := net.SplitHostPort(address); err != nil {
			errs = append(errs, fmt.Errorf("%s address %q: %w (want HOST:PORT)", what, address, err))
		}
	}
	if c.Models == nil {
		errs = append(errs, errors.New("no models"))
	}
	if c.Logger == nil {
		errs = append(errs, errors.New("no logger"))
	}
	for what, n := range map[string]int{
		"request bytes": c.MaxRequestBytes, "requests": c.MaxRequests, "connections": c.MaxConnections,
		"read time": int(c.ReadTime), "drain time": int(c.DrainTime),
	} {
		if n < 0 {
			errs = append(errs, fmt.Errorf("%s is %d, want more", what, n))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("serve config: %w", err)
	}
	return nil
}

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// syncthing shares a folder among all nodes, each of which knows all others and
// their addresses; what would go to servers elsewhere is off. It is told at
// once that the publisher's file has changed.
type syncthing struct {
	processes
	inodes []os.FileInfo // of the file at each taker, when it last was complete
}

const (
	syncthingPort = "22000"
	syncthingGUI  = "127.0.0.1:8384"
	syncthingKey  = "bench"
)

// syncthingEnv makes one process of it, not two of which one watches the other.
var syncthingEnv = []string{"STNOUPGRADE=1", "STNODEFAULTFOLDER=1", "STMONITORED=yes"}

func (s *syncthing) start(ctx context.Context, b *bed, _ work, old []byte) error {
	places := append([]place{b.publisher}, b.takers...)
	ids := make([]string, len(places))
	if err := each(ctx, parallelCalls, len(places), func(ctx context.Context, i int) (err error) {
		ids[i], err = syncthingID(ctx, places[i])
		return err
	}); err != nil {
		return err
	}
	for i, p := range places {
		if err := os.MkdirAll(filepath.Join(p.dir, "m", ".stfolder"), 0o700); err != nil {
			return err
		}
		config := syncthingConfig(places, ids, p.dir)
		if err := os.WriteFile(filepath.Join(p.dir, "st", "config.xml"), []byte(config), 0o600); err != nil {
			return err
		}
		if _, err := s.launch(places[i], syncthingEnv, "syncthing", "serve", "--no-browser", "--no-restart", "--home="+filepath.Join(p.dir, "st")); err != nil {
			return err
		}
	}
	s.inodes = make([]os.FileInfo, len(b.takers))
	if err := each(ctx, len(places), len(places), func(ctx context.Context, i int) error {
		return syncthingConnected(ctx, places[i], len(places)-1)
	}); err != nil || old == nil {
		return err
	}
	return s.update(ctx, b, work{}, old, func(int) {})
}

// syncthingID makes a node's keys and returns its name.
func syncthingID(ctx context.Context, p place) (string, error) {
	home := filepath.Join(p.dir, "st")
	if out, err := command(ctx, p, syncthingEnv, "syncthing", "generate", "--home="+home, "--no-default-folder").CombinedOutput(); err != nil {
		return "", fmt.Errorf("syncthing generate: %w: %s", err, out)
	}
	out, err := command(ctx, p, syncthingEnv, "syncthing", "--device-id", "--home="+home).Output()
	if err != nil {
		return "", fmt.Errorf("syncthing --device-id: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// syncthingConfig is a node's config.xml; what it leaves out has its default.
func syncthingConfig(places []place, ids []string, dir string) string {
	var folder, devices strings.Builder
	for i, id := range ids {
		fmt.Fprintf(&folder, "<device id=%q/>", id)
		fmt.Fprintf(&devices, "<device id=%q name=%q><address>tcp://%s:%s</address></device>\n", id, places[i].name, places[i].Address(), syncthingPort)
	}
	return fmt.Sprintf(`<configuration version="35">
<folder id="m" path="%s" type="sendreceive" fsWatcherEnabled="true" rescanIntervalS="3600">%s</folder>
%s<gui enabled="true" tls="false"><address>%s</address><apikey>%s</apikey></gui>
<options>
<listenAddress>tcp://0.0.0.0:%s</listenAddress>
<globalAnnounceEnabled>false</globalAnnounceEnabled><localAnnounceEnabled>true</localAnnounceEnabled>
<relaysEnabled>false</relaysEnabled><natEnabled>false</natEnabled><startBrowser>false</startBrowser>
<urAccepted>-1</urAccepted><crashReportingEnabled>false</crashReportingEnabled><autoUpgradeIntervalH>0</autoUpgradeIntervalH>
</options>
</configuration>
`, filepath.Join(dir, "m"), folder.String(), devices.String(), syncthingGUI, syncthingKey, syncthingPort)
}

// syncthingConnected waits until a node is connected to so many others.
func syncthingConnected(ctx context.Context, p place, want int) error {
	for {
		var answer struct {
			Connections map[string]struct{ Connected bool } `json:"connections"`
		}
		connected := 0
		if err := syncthingCall(ctx, p, http.MethodGet, "/rest/system/connections", &answer); err == nil {
			for _, c := range answer.Connections {
				if c.Connected {
					connected++
				}
			}
		}
		if connected >= want {
			return nil
		}
		if err := pause(ctx, 200*time.Millisecond); err != nil {
			return fmt.Errorf("%s: %d of %d connections: %w", p.name, connected, want, err)
		}
	}
}

// syncthingCall calls a node's REST interface, which listens at its place only.
func syncthingCall(ctx context.Context, p place, method, path string, answer any) error {
	transport := &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, address string) (c net.Conn, err error) {
			err = p.In(func() error {
				var dialer net.Dialer
				c, err = dialer.DialContext(ctx, network, address)
				return err
			})
			return c, err
		},
	}
	request, err := http.NewRequestWithContext(ctx, method, "http://"+syncthingGUI+path, nil)
	if err != nil {
		return err
	}
	request.Header.Set("X-API-Key", syncthingKey)
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("syncthing: %s: %s: %s", path, response.Status, body)
	}
	if answer == nil {
		return nil
	}
	return json.Unmarshal(body, answer)
}

func (s *syncthing) update(ctx context.Context, b *bed, _ work, updated []byte, arrived func(int)) error {
	if err := os.WriteFile(filepath.Join(b.publisher.dir, "m", modelName), updated, 0o600); err != nil {
		return err
	}
	if err := syncthingCall(ctx, b.publisher, http.MethodPost, "/rest/db/scan?folder=m", nil); err != nil {
		return err
	}
	return each(ctx, len(b.takers), len(b.takers), func(ctx context.Context, i int) error {
		path := filepath.Join(b.takers[i].dir, "m", modelName)
		for {
			// A file that has been checked takes the old one's place at once.
			info, err := os.Stat(path)
			if err == nil && (s.inodes[i] == nil || !os.SameFile(info, s.inodes[i])) {
				arrived(i)
				s.inodes[i] = info
				return same(path, updated)
			}
			if err := pause(ctx, pollInterval); err != nil {
				return err
			}
		}
	})
}

func (s *syncthing) stop() error {
	s.processes.stop()
	return nil
}

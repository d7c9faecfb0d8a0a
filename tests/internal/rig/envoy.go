// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// Envoy is a running Envoy with the configuration of tests/run/envoy.yaml.in.
type Envoy struct {
	*Program
	URL       string // http://127.0.0.1:PORT
	admin     string
	accessLog string
}

// EnvoyOptions says who stands around Envoy. BufferLimit 0 is the product's 50 MiB, Workers 0 is 2.
// Filters and Cluster name blocks of docs/ that take the place of the usual filter and of
// the backends' clusters' options; empty: the usual.
type EnvoyOptions struct {
	Extproc, BackendA, BackendB string
	BufferLimit, Workers        int
	Filters, Cluster            string

	ExtprocPeer   string // another processor that does the same, of which the healthy ones are used
	ExtprocBehind string // the processor for the filter behind the router; empty: the same
	NoNames       bool   // backends and routes have no names in their metadata

	// Whole names a block of docs/ that is all of the configuration; Places are the addresses in it
	// that others take the place of. The access log is then where the block says.
	Whole  string
	Places map[string]string

	Edit func(config string) string // makes another configuration of it; nil: it stays
}

// StartEnvoy starts the real Envoy and waits until it listens.
func StartEnvoy(t testing.TB, options EnvoyOptions) *Envoy {
	t.Helper()
	program, err := envoyProgram()
	if err != nil {
		t.Fatalf("Envoy could not be fetched (%v):\n%s", err, program)
	}
	if options.Workers == 0 {
		options.Workers = 2
	}
	folder := t.TempDir()
	config, adminFile := filepath.Join(folder, "envoy.yaml"), filepath.Join(folder, "admin")
	accessLog := filepath.Join(folder, "access.log")
	filled := ""
	if options.Whole != "" {
		filled = putInPlaces(t, documented(t, options.Whole), options.Places)
	} else {
		filled = fillTemplate(t, options, accessLog)
	}
	if options.Edit != nil {
		filled = options.Edit(filled)
	}
	if err := os.WriteFile(config, []byte(filled), 0o600); err != nil {
		t.Fatal(err)
	}
	e := &Envoy{accessLog: accessLog, Program: Start(t, "envoy", program, []string{
		"--config-path", config, "--admin-address-path", adminFile,
		"--concurrency", strconv.Itoa(options.Workers), "--disable-hot-restart",
		"--log-level", "warning", "--file-flush-interval-msec", "10",
	}, nil)}
	Eventually(t, func() string {
		if e.HasEnded() {
			t.Fatal("Envoy ended at its start")
		}
		address, _ := os.ReadFile(adminFile)
		e.admin = string(address)
		e.URL = e.listener()
		if e.URL == "" {
			return "Envoy listens"
		}
		return ""
	})
	return e
}

// putInPlaces replaces addresses as a configuration has them, HOST:PORT by HOST:PORT; each is there once.
func putInPlaces(t testing.TB, config string, places map[string]string) string {
	t.Helper()
	for old, new := range places {
		host, port, _ := net.SplitHostPort(old)
		place := fmt.Sprintf("socket_address: { address: %s, port_value: %s }", host, port)
		if count := strings.Count(config, place); count != 1 {
			t.Fatalf("the address %s is there %d times", old, count)
		}
		config = strings.Replace(config, place, endpoint(t, new), 1)
	}
	return config
}

func fillTemplate(t testing.TB, options EnvoyOptions, accessLog string) string {
	t.Helper()
	if options.BufferLimit == 0 {
		options.BufferLimit = 50 << 20
	}
	template, err := os.ReadFile(filepath.Join(Root(), "tests", "run", "envoy.yaml.in"))
	if err != nil {
		t.Fatal(err)
	}
	filled := strings.NewReplacer(
		"@ENVOY_PORT@", "0", "@BUFFER_LIMIT@", strconv.Itoa(options.BufferLimit),
		"@ACCESS_LOG@", accessLog, "@EXTPROC@", endpoint(t, options.Extproc),
		"@BACKEND_A@", endpoint(t, options.BackendA), "@BACKEND_B@", endpoint(t, options.BackendB),
	).Replace(string(template))
	if options.NoNames {
		filled = strings.NewReplacer("aigw_route_name", "no_name", "per_route_rule_backend_name", "no_name").Replace(filled)
	}
	filled = replaceBlock(t, filled, "cluster", options.Cluster)
	if options.ExtprocPeer != "" {
		filled = replaceBlock(t, filled, "processors", "two processors")
		filled = strings.NewReplacer("@EXTPROC@", endpoint(t, options.Extproc), "@EXTPROC_PEER@", endpoint(t, options.ExtprocPeer)).Replace(filled)
	}
	if options.ExtprocBehind != "" {
		filled = addSecondProcessor(filled, endpoint(t, options.Extproc), endpoint(t, options.ExtprocBehind))
	}
	return replaceBlock(t, filled, "filters", options.Filters)
}

// replaceBlock puts a block of docs/ in place of each part of a configuration that stands
// between the comments "# NAME: ..." and "# end".
func replaceBlock(t testing.TB, config, name, block string) string {
	t.Helper()
	if block == "" {
		return config
	}
	content := documented(t, block)
	part := regexp.MustCompile(`(?ms)^( *)# ` + name + `: .*?^ *# end\n`)
	return part.ReplaceAllStringFunc(config, func(old string) string {
		indent := part.FindStringSubmatch(old)[1]
		return indent + strings.ReplaceAll(strings.TrimSuffix(content, "\n"), "\n", "\n"+indent) + "\n"
	})
}

// addSecondProcessor gives the filters in the backends' clusters a processor of their own. The filter
// in front of the router is put in later.
func addSecondProcessor(config, first, second string) string {
	const start, end = "    - name: extproc\n", "    - name: a\n"
	before, rest, _ := strings.Cut(config, start)
	cluster, rest, _ := strings.Cut(rest, end)
	renamed := strings.NewReplacer("cluster_name: extproc", "cluster_name: extproc_behind", first, second)
	behind := strings.ReplaceAll(rest, "cluster_name: extproc", "cluster_name: extproc_behind")
	return before + start + cluster + "    - name: extproc_behind\n" + renamed.Replace(cluster) + end + behind
}

// documented is the YAML block of docs/ that stands behind the comment `envoy: NAME`.
func documented(t testing.TB, name string) string {
	t.Helper()
	for _, page := range []string{"extproc.md", "operations.md", "envoy.md"} {
		text, err := os.ReadFile(filepath.Join(Root(), "docs", page))
		if err != nil {
			t.Fatal(err)
		}
		if _, rest, found := strings.Cut(string(text), "<!-- envoy: "+name+" -->\n```yaml\n"); found {
			block, _, _ := strings.Cut(rest, "```\n")
			return block
		}
	}
	t.Fatalf("no page of docs/ has a block %q", name)
	return ""
}

// endpoint writes an address of ours (127.0.0.1:PORT or unix:///PATH) as Envoy's configuration does.
func endpoint(t testing.TB, address string) string {
	t.Helper()
	if path, is := strings.CutPrefix(address, "unix://"); is {
		return fmt.Sprintf("pipe: { path: %q }", path)
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("socket_address: { address: %q, port_value: %s }", host, port)
}

func (e *Envoy) listener() string {
	response, err := http.Get("http://" + e.admin + "/listeners?format=json")
	if err != nil {
		return ""
	}
	defer response.Body.Close()
	var list struct {
		Listeners []struct {
			Address struct {
				Socket struct {
					Port int `json:"port_value"`
				} `json:"socket_address"`
			} `json:"local_address"`
		} `json:"listener_statuses"`
	}
	if json.NewDecoder(response.Body).Decode(&list) != nil || len(list.Listeners) == 0 {
		return ""
	}
	if port := list.Listeners[0].Address.Socket.Port; port != 0 {
		return fmt.Sprintf("http://127.0.0.1:%d", port)
	}
	return ""
}

// Stat reads a counter or gauge of Envoy; 0 if there is none of that name.
func (e *Envoy) Stat(name string) int {
	e.t.Helper()
	response, err := http.Get("http://" + e.admin + "/stats?filter=^" + name + "$")
	if err != nil {
		e.t.Fatal(err)
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(response.Body)
	_, value, _ := strings.Cut(strings.TrimSpace(string(text)), ": ")
	number, _ := strconv.Atoi(value)
	return number
}

// Access waits for the access log's line about the request with this x-test-id.
func (e *Envoy) Access(id string) map[string]string {
	e.t.Helper()
	var found map[string]string
	Eventually(e.t, func() string {
		text, _ := os.ReadFile(e.accessLog)
		for line := range strings.Lines(string(text)) {
			if strings.HasSuffix(line, " id="+id+"\n") {
				found = Fields(line)
				return ""
			}
		}
		return "an access log line with id=" + id
	})
	return found
}

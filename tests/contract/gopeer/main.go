// SPDX-License-Identifier: Apache-2.0

// Command gopeer is a plain Go program with net/http/pprof, set up as Envoy AI Gateway sets it up: handlers on a mux
// of its own (so any method is served) and five seconds for a request's headers. The contract tests ask it and the
// program under test the same questions. It takes the flags and prints the line of the program under test, so it can
// also stand in for it (EXTPROC_BINARY=gopeer): a test that fails then is wrong about Go.
package main

import (
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"time"
)

func main() {
	address := flag.String("pprof-address", "127.0.0.1:0", "where the pprof endpoints listen")
	grpcAddress := flag.String("listen", "127.0.0.1:0", "where HTTP/2 is spoken; nothing is there")
	flag.String("admin-address", "", "ignored")
	flag.Parse()

	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)

	http2 := http.Server{Handler: http.NotFoundHandler(), Protocols: new(http.Protocols)}
	http2.Protocols.SetUnencryptedHTTP2(true)
	go serve(&http2, "grpc", *grpcAddress)
	serve(&http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}, "pprof", *address)
}

func serve(server *http.Server, service, address string) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Fprintf(os.Stderr, "level=info msg=listening service=%s address=%s\n", service, listener.Addr())
	log.Fatal(server.Serve(listener))
}

// Command acmesolver answers one question of an ACME server, while cert-manager lets it run.
package main

import (
	"context"
	"flag"
	"os"
	"os/signal"
	"syscall"

	"github.com/cert-manager/cert-manager/pkg/issuer/acme/http/solver"
	logf "github.com/cert-manager/cert-manager/pkg/logs"
)

func main() {
	logf.InitLogs()
	defer logf.FlushLogs()
	if err := run(); err != nil {
		logf.Log.Error(err, "the solver ends")
		logf.FlushLogs()
		os.Exit(1)
	}
}

func run() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	server := new(solver.HTTP01Solver)
	flag.IntVar(&server.ListenPort, "listen-port", 8089, "")
	flag.StringVar(&server.Domain, "domain", "", "of the certificate")
	flag.StringVar(&server.Token, "token", "", "the question: the path's end")
	flag.StringVar(&server.Key, "key", "", "the answer")
	flag.Parse()
	ended := make(chan error, 1)
	go func() { ended <- server.Listen(logf.Log) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		return server.Shutdown(context.Background())
	}
}

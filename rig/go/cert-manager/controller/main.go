// Command controller gets certificates and renews them: cert-manager's controllers, put together.
//
// Upstream's three programs are modules of their own, under names that are not their places in the
// repository: no Go proxy can serve them. These are made from the library that they share. Flags are
// those that upstream's chart sets. Issuers are self-signed, CA and ACME; Vault's and Venafi's, the
// Gateway API and CertificateSigningRequests are left out.
package main

import (
	"context"
	"errors"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/component-base/cli/flag"
	logsapi "k8s.io/component-base/logs/api/v1"

	_ "github.com/cert-manager/cert-manager/internal/controller/feature"
	"github.com/cert-manager/cert-manager/pkg/apis/certmanager"
	"github.com/cert-manager/cert-manager/pkg/controller"
	_ "github.com/cert-manager/cert-manager/pkg/controller/acmechallenges"
	_ "github.com/cert-manager/cert-manager/pkg/controller/acmeorders"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificate-shim/ingresses"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/acme"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/approver"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/ca"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/selfsigned"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/issuing"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/keymanager"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/metrics"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/readiness"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/requestmanager"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/revisionmanager"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/trigger"
	_ "github.com/cert-manager/cert-manager/pkg/controller/clusterissuers"
	_ "github.com/cert-manager/cert-manager/pkg/controller/issuers"
	"github.com/cert-manager/cert-manager/pkg/healthz"
	_ "github.com/cert-manager/cert-manager/pkg/issuer/acme"
	_ "github.com/cert-manager/cert-manager/pkg/issuer/ca"
	_ "github.com/cert-manager/cert-manager/pkg/issuer/selfsigned"
	logf "github.com/cert-manager/cert-manager/pkg/logs"
	"github.com/cert-manager/cert-manager/pkg/server"
	"github.com/cert-manager/cert-manager/pkg/util/feature"
)

const (
	// The chart lets it have the lease of this name and no other.
	lease = "cert-manager-controller"
	// The chart asks here whether it lives.
	healthAddress = "0.0.0.0:9403"
	// How long after its lease a leader that does not step down is dead, as in Kubernetes itself.
	healthTimeout = 20 * time.Second
	workers       = 5
)

// settings are what flags can change.
type settings struct {
	controller.ContextOptions
	controllers []string
	metrics     string
	features    map[string]bool
	logging     *logsapi.LoggingConfiguration

	elect                    bool
	namespace                string
	duration, renewal, retry time.Duration
}

func main() {
	logf.InitLogs()
	defer logf.FlushLogs()
	if err := run(os.Args[1:]); err != nil {
		logf.Log.Error(err, "the controller ends")
		logf.FlushLogs()
		os.Exit(1)
	}
}

func run(arguments []string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	told, err := parse(arguments)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(logf.NewContext(ctx, logf.Log, "controller"))
	factory, err := controller.NewContextFactory(ctx, told.ContextOptions)
	if err != nil {
		return err
	}
	root, err := factory.Build()
	if err != nil {
		return err
	}
	health := healthz.NewServer(healthTimeout)
	if err := serve(ctx, group, told, root, health); err != nil {
		return err
	}
	group.Go(func() error {
		return whileLeading(ctx, told, root, health, func(ctx context.Context) error {
			return control(ctx, told, factory, root)
		})
	})
	return group.Wait()
}

// serve answers whether it lives and what it did.
func serve(
	ctx context.Context, group *errgroup.Group, told *settings, root *controller.Context,
	health *healthz.Server,
) error {
	listener, err := server.Listen(ctx, "tcp", healthAddress)
	if err != nil {
		return err
	}
	group.Go(func() error { return health.Start(ctx, listener) })
	if told.metrics == "0" {
		return nil
	}
	objects := root.SharedInformerFactory.Certmanager().V1()
	root.Metrics.SetupCertificateCollector(objects.Certificates().Lister())
	root.Metrics.SetupIssuerCollector(objects.Issuers().Lister())
	root.Metrics.SetupClusterIssuerCollector(objects.ClusterIssuers().Lister())
	listener, err = server.Listen(ctx, "tcp", told.metrics)
	if err != nil {
		return err
	}
	metrics := root.Metrics.NewServer(listener)
	group.Go(func() error {
		if err := metrics.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	group.Go(func() error {
		<-ctx.Done()
		return metrics.Close()
	})
	return nil
}

// whileLeading does the work in its turn, and hands the lease on only when the work is done.
func whileLeading(
	ctx context.Context, told *settings, root *controller.Context, health *healthz.Server,
	work func(context.Context) error,
) error {
	if !told.elect {
		return work(ctx)
	}
	name, err := os.Hostname()
	if err != nil {
		return err
	}
	lock, err := resourcelock.NewFromKubeconfig(
		resourcelock.LeasesResourceLock, told.namespace, lease,
		resourcelock.ResourceLockConfig{Identity: name + "-" + uuid.NewString()},
		root.RESTConfig, told.renewal)
	if err != nil {
		return err
	}
	leading, ended := make(chan struct{}), make(chan struct{})
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock: lock, Name: lease, WatchDog: health.LeaderHealthzAdaptor, ReleaseOnCancel: true,
		LeaseDuration: told.duration,
		RenewDeadline: told.renewal,
		RetryPeriod:   told.retry,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(context.Context) { close(leading) },
			OnStoppedLeading: func() {},
		},
	})
	if err != nil {
		return err
	}
	electing, release := context.WithCancel(context.WithoutCancel(ctx))
	working, stop := context.WithCancel(ctx)
	go func() {
		defer close(ended)
		defer stop()
		elector.Run(electing)
	}()
	defer func() {
		release()
		<-ended
	}()
	select {
	case <-leading:
		err = work(working)
	case <-working.Done():
	}
	if ctx.Err() == nil && err == nil {
		return errors.New("the lease is lost")
	}
	return err
}

// control runs the controllers until the context ends.
func control(
	ctx context.Context, told *settings, factory *controller.ContextFactory,
	root *controller.Context,
) error {
	group, ctx := errgroup.WithContext(ctx)
	for name, construct := range controller.Known() {
		if !told.wants(name) {
			continue
		}
		one, err := construct(factory)
		if err != nil {
			return err
		}
		group.Go(func() error { return one.Run(workers, ctx) })
	}
	root.SharedInformerFactory.Start(ctx.Done())
	root.KubeSharedInformerFactory.Start(ctx.Done())
	root.HTTP01ResourceMetadataInformersFactory.Start(ctx.Done())
	return group.Wait()
}

// wants reads a list such as `*,-certificaterequests-approver`.
func (told *settings) wants(name string) bool {
	if slices.Contains(told.controllers, "-"+name) {
		return false
	}
	return slices.Contains(told.controllers, "*") || slices.Contains(told.controllers, name)
}

// parse knows the flags that the chart sets; their defaults are upstream's.
func parse(arguments []string) (*settings, error) {
	told := &settings{logging: logsapi.NewLoggingConfiguration()}
	told.KubernetesAPIQPS, told.KubernetesAPIBurst = 20, 50
	told.ClusterIssuerAmbientCredentials = true
	told.CopiedAnnotationPrefixes = []string{
		"*", "-kubectl.kubernetes.io/", "-fluxcd.io/", "-argocd.argoproj.io/",
	}
	told.CertificateRequestMinimumBackoffDuration = time.Hour
	told.CertificateRequestMaximumBackoffDuration = 32 * time.Hour
	told.DefaultAutoCertificateAnnotations = []string{"kubernetes.io/tls-acme"}
	told.HTTP01SolverResourceRequestCPU = resource.MustParse("10m")
	told.HTTP01SolverResourceRequestMemory = resource.MustParse("64Mi")
	told.HTTP01SolverResourceLimitsCPU = resource.MustParse("100m")
	told.HTTP01SolverResourceLimitsMemory = resource.MustParse("64Mi")
	told.ACMEHTTP01SolverRunAsNonRoot = true
	told.DNS01CheckRetryPeriod = 10 * time.Second

	flags := pflag.NewFlagSet("cert-manager-controller", pflag.ExitOnError)
	logf.AddFlags(told.logging, flags)
	told.addTo(flags)
	recursive := flags.Bool("dns01-recursive-nameservers-only", false, "")
	if err := flags.Parse(arguments); err != nil {
		return nil, err
	}
	told.DNS01CheckAuthoritative = !*recursive
	if err := logf.ValidateAndApply(told.logging); err != nil {
		return nil, err
	}
	return told, feature.DefaultMutableFeatureGate.SetFromMap(told.features)
}

func (told *settings) addTo(flags *pflag.FlagSet) {
	text, seconds := flags.StringVar, flags.DurationVar
	text(&told.Kubeconfig, "kubeconfig", "", "outside a cluster")
	text(&told.Namespace, "namespace", "", "look here alone")
	text(&told.ClusterResourceNamespace, "cluster-resource-namespace", "kube-system", "of ClusterIssuers' secrets")
	text(&told.metrics, "metrics-listen-address", "0.0.0.0:9402", "0 is none")
	flags.StringSliceVar(&told.controllers, "controllers", []string{"*"}, "*,-name,…")
	flags.BoolVar(&told.EnableOwnerRef, "enable-certificate-owner-ref", false, "a Secret goes with its Certificate")
	flags.IntVar(&told.MaxConcurrentChallenges, "max-concurrent-challenges", 60, "")
	flags.Var(flag.NewMapStringBool(&told.features), "feature-gates", "name=true|false,…")

	flags.BoolVar(&told.elect, "leader-elect", true, "take turns with others")
	text(&told.namespace, "leader-election-namespace", "kube-system", "of the lease")
	seconds(&told.duration, "leader-election-lease-duration", 60*time.Second, "")
	seconds(&told.renewal, "leader-election-renew-deadline", 40*time.Second, "")
	seconds(&told.retry, "leader-election-retry-period", 15*time.Second, "")

	text(&told.DefaultIssuerName, "default-issuer-name", "", "of Ingresses that name none")
	text(&told.DefaultIssuerKind, "default-issuer-kind", "Issuer", "")
	text(&told.DefaultIssuerGroup, "default-issuer-group", certmanager.GroupName, "")

	text(&told.HTTP01SolverImage, "acme-http01-solver-image", "", "")
	text(&told.HTTP01SolverRuntimeClassName, "acme-http01-solver-runtime-class-name", "", "")
	flags.StringToStringVar(&told.HTTP01SolverExtraLabels, "acme-http01-solver-extra-labels", nil, "")
	flags.StringSliceVar(&told.DNS01Nameservers, "dns01-recursive-nameservers", nil, "")
}

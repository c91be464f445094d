// Command cainjector gives the API server the authority behind each webhook's certificate.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/pflag"
	corev1 "k8s.io/api/core/v1"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	kubernetes "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/component-base/cli/flag"
	apiregistration "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	config "github.com/cert-manager/cert-manager/internal/apis/config/cainjector"
	configscheme "github.com/cert-manager/cert-manager/internal/apis/config/cainjector/scheme"
	_ "github.com/cert-manager/cert-manager/internal/cainjector/feature"
	"github.com/cert-manager/cert-manager/internal/kube"
	"github.com/cert-manager/cert-manager/pkg/api"
	versioned "github.com/cert-manager/cert-manager/pkg/apis/config/cainjector/v1alpha1"
	"github.com/cert-manager/cert-manager/pkg/controller/cainjector"
	logf "github.com/cert-manager/cert-manager/pkg/logs"
	"github.com/cert-manager/cert-manager/pkg/util"
	"github.com/cert-manager/cert-manager/pkg/util/feature"
)

// The chart lets it have the lease of this name and no other.
const lease = "cert-manager-cainjector-leader-election"

func main() {
	logf.InitLogs()
	defer logf.FlushLogs()
	if err := run(os.Args[1:]); err != nil {
		logf.Log.Error(err, "the injector ends")
		logf.FlushLogs()
		os.Exit(1)
	}
}

func run(arguments []string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	settings, err := parse(arguments)
	if err != nil {
		return err
	}
	ctrl.SetLogger(logf.Log)
	manager, err := newManager(settings)
	if err != nil {
		return err
	}
	targets := settings.EnableInjectableConfig
	err = cainjector.RegisterAllInjectors(ctx, manager, cainjector.SetupOptions{
		Namespace:                    settings.Namespace,
		IgnoreNamespaces:             settings.IgnoreNamespaces,
		EnableCertificatesDataSource: settings.EnableDataSourceConfig.Certificates,
		EnabledReconcilersFor: map[string]bool{
			cainjector.MutatingWebhookConfigurationName:   targets.MutatingWebhookConfigurations,
			cainjector.ValidatingWebhookConfigurationName: targets.ValidatingWebhookConfigurations,
			cainjector.APIServiceName:                     targets.APIServices,
			cainjector.CustomResourceDefinitionName:       targets.CustomResourceDefinitions,
		},
	})
	if err != nil {
		return err
	}
	return manager.Start(ctx)
}

// parse knows the flags that the chart sets.
func parse(arguments []string) (*config.CAInjectorConfiguration, error) {
	scheme, _, err := configscheme.NewSchemeAndCodecs()
	if err != nil {
		return nil, err
	}
	defaults, settings := &versioned.CAInjectorConfiguration{}, &config.CAInjectorConfiguration{}
	scheme.Default(defaults)
	if err := scheme.Convert(defaults, settings, nil); err != nil {
		return nil, err
	}
	flags := pflag.NewFlagSet("cert-manager-cainjector", pflag.ExitOnError)
	logf.AddFlags(&settings.Logging, flags)
	leader := &settings.LeaderElectionConfig
	flags.StringVar(&settings.KubeConfig, "kubeconfig", settings.KubeConfig, "outside a cluster")
	flags.StringVar(&settings.Namespace, "namespace", settings.Namespace, "look here alone")
	flags.BoolVar(&leader.Enabled, "leader-elect", leader.Enabled, "take turns with others")
	flags.StringVar(&leader.Namespace, "leader-election-namespace", leader.Namespace, "of the lease")
	flags.DurationVar(&leader.LeaseDuration, "leader-election-lease-duration", leader.LeaseDuration, "")
	flags.DurationVar(&leader.RenewDeadline, "leader-election-renew-deadline", leader.RenewDeadline, "")
	flags.DurationVar(&leader.RetryPeriod, "leader-election-retry-period", leader.RetryPeriod, "")
	flags.StringVar(&settings.MetricsListenAddress, "metrics-listen-address",
		settings.MetricsListenAddress, "0 is none")
	flags.Var(flag.NewMapStringBool(&settings.FeatureGates), "feature-gates", "name=true|false,…")
	if err := flags.Parse(arguments); err != nil {
		return nil, err
	}
	if err := logf.ValidateAndApply(&settings.Logging); err != nil {
		return nil, err
	}
	return settings, feature.DefaultMutableFeatureGate.SetFromMap(settings.FeatureGates)
}

func newManager(settings *config.CAInjectorConfiguration) (ctrl.Manager, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		kubernetes.AddToScheme, api.AddToScheme, apiextensions.AddToScheme, apiregistration.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			return nil, err
		}
	}
	access, err := kube.BuildClientConfig("", settings.KubeConfig)
	if err != nil {
		return nil, err
	}
	leader := settings.LeaderElectionConfig
	options := ctrl.Options{
		Scheme:                        scheme,
		Metrics:                       server.Options{BindAddress: settings.MetricsListenAddress},
		LeaderElection:                leader.Enabled,
		LeaderElectionID:              lease,
		LeaderElectionNamespace:       leader.Namespace,
		LeaderElectionReleaseOnCancel: true,
		LeaseDuration:                 &leader.LeaseDuration,
		RenewDeadline:                 &leader.RenewDeadline,
		RetryPeriod:                   &leader.RetryPeriod,
		// It watches the metadata of Secrets only; their content is asked for when it is needed.
		Client: client.Options{
			Cache: &client.CacheOptions{DisableFor: []client.Object{&corev1.Secret{}}},
		},
	}
	if settings.Namespace != "" {
		options.Cache.DefaultNamespaces = map[string]cache.Config{settings.Namespace: {}}
	}
	return ctrl.NewManager(util.RestConfigWithUserAgent(access), options)
}

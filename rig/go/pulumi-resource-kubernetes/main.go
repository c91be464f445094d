// Pulumi's Kubernetes provider, built from its published Go module.
//
// The module carries its schema as plain files that its own main embeds under other names, so this
// main reads them from copies that the build lays beside it (see EMBED in rig/tools.py).
package main

import (
	_ "embed"

	"github.com/pulumi/pulumi-kubernetes/provider/v4/pkg/provider"
)

// version is set by the linker.
var version string

//go:embed schema-embed.json
var schema []byte

//go:embed terraform-mapping-embed.json
var mapping []byte

func main() {
	provider.Serve("kubernetes", version, schema, mapping)
}

//go:build tools

// Package tools names the S3 gateway in the image.
package tools

import _ "github.com/versity/versitygw/cmd/versitygw"

//go:build tools

// Package policies names what keeps to NetworkPolicies in a node of plain binaries.
package policies

import _ "github.com/cloudnativelabs/kube-router/v2/cmd/kube-router"

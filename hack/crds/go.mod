module github.com/defilantech/llmkube/hack/crds

go 1.26.0

require (
	github.com/prometheus-operator/prometheus-operator v0.82.0
	sigs.k8s.io/gateway-api v1.6.1
)

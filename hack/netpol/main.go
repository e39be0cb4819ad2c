// netpol enforces NetworkPolicies on the node of one network namespace, for tests: the engine of kube-network-policies, by
// nftables and a queue of the kernel's. It reads the cluster of a kubeconfig, and ends with stdin.
package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/kube-network-policies/pkg/networkpolicy"
)

const queue = 100

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: netpol KUBECONFIG NODE")
		os.Exit(2)
	}
	ctx, end := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		end()
	}()
	if err := enforce(ctx, os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func enforce(ctx context.Context, kubeconfig, node string) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	known := informers.NewSharedInformerFactory(client, 0)
	policies, core := known.Networking().V1().NetworkPolicies(), known.Core().V1()
	settings := networkpolicy.Config{QueueID: queue, NodeName: node, NRIdisabled: true}
	engine, err := networkpolicy.NewController(
		client, policies, core.Namespaces(), core.Pods(), nil, nil, nil, nil, settings)
	if err != nil {
		return err
	}
	known.Start(ctx.Done())
	return engine.Run(ctx)
}

// controlplane is etcd, kube-apiserver, kube-controller-manager, kube-scheduler and kubectl in one binary: what they share
// is compiled and linked once. The first argument says which of them it is this time; the flags after it are that program's.
package main

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/embed"
	"k8s.io/component-base/cli"
	kubectl "k8s.io/kubectl/pkg/cmd"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
)

// tied makes the program end with whoever holds the other end of its stdin, however that one ends.
const tied = "--while-stdin-is-open"

const usage = "usage: controlplane [" + tied + "] etcd|kube-apiserver|kube-controller-manager|kube-scheduler|kubectl [FLAGS]"

func main() {
	args := os.Args[1:]
	if len(args) > 0 && args[0] == tied {
		args = args[1:]
		go endWithStdin()
	}
	var program *cobra.Command
	if len(args) > 0 {
		os.Args = args // kubectl looks for plugins in them
		program = command(args[0])
	}
	if program == nil {
		fmt.Fprintln(os.Stderr, usage)
		os.Exit(2)
	}
	program.SetArgs(args[1:])
	os.Exit(cli.Run(program))
}

// command makes only the program that is asked for: each of them registers flags and feature gates globally.
func command(name string) *cobra.Command {
	switch name {
	case "etcd":
		return newEtcdCommand()
	case "kube-apiserver":
		return apiserver.NewAPIServerCommand()
	case "kube-controller-manager":
		return controllers.NewControllerManagerCommand()
	case "kube-scheduler":
		return scheduler.NewSchedulerCommand()
	case "kubectl":
		return kubectl.NewDefaultKubectlCommand()
	}
	return nil
}

func newEtcdCommand() *cobra.Command {
	var file string
	program := &cobra.Command{
		Use:          "etcd",
		Args:         cobra.NoArgs,
		SilenceUsage: true,
		RunE:         func(*cobra.Command, []string) error { return serveEtcd(file) },
	}
	program.Flags().StringVar(&file, "config-file", "", "etcd's own configuration file")
	_ = program.MarkFlagRequired("config-file")
	return program
}

func serveEtcd(file string) error {
	config, err := embed.ConfigFromFile(file)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGINT, syscall.SIGTERM)
	server, err := embed.StartEtcd(config)
	if err != nil {
		return err
	}
	defer server.Close()
	select {
	case <-stop:
		return nil
	case err := <-server.Err():
		return err
	}
}

// endWithStdin ends in no good order: nobody is left who would wait for it, and etcd keeps what it has written.
func endWithStdin() {
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(1)
}
